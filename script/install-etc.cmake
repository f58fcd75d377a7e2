# What cmake --install and cpack do with the unit and the settings: both name the paths of the prefix that is installed to, which is known only now.
# etc_from: the source's etc; etc_to: where the folder registryd with the settings goes, below the prefix unless it begins with '/'.
if(IS_ABSOLUTE "${etc_to}")
	set(settings_dir "${etc_to}/registryd")
else()
	set(settings_dir "${CMAKE_INSTALL_PREFIX}/${etc_to}/registryd")
endif()
if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
	set(unit_dir /lib/systemd/system)	# Debian's; where /lib is a link it is the same place
else()
	set(unit_dir "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
endif()

function(install_adapted name dir)
	file(INSTALL "${etc_from}/${name}" DESTINATION "${dir}")
	set(file "$ENV{DESTDIR}${dir}/${name}")
	file(READ "${file}" text)
	string(REPLACE /etc/registryd/ "${settings_dir}/" text "${text}")
	string(REPLACE /usr/bin/registryd "${CMAKE_INSTALL_PREFIX}/bin/registryd" text "${text}")
	file(WRITE "${file}" "${text}")
endfunction()

install_adapted(registryd.service "${unit_dir}")
# Settings that are there are somebody's.
foreach(name registryd.yaml policy.yaml)
	if(NOT EXISTS "$ENV{DESTDIR}${settings_dir}/${name}")
		install_adapted(${name} "${settings_dir}")
	endif()
endforeach()
