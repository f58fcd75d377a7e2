# Between staging and packing: what Debian wants compressed, folders that all may enter whatever the umask is, and one date for everything, that of the newest entry in the changelog.
if(NOT CPACK_GENERATOR STREQUAL DEB)
	message(FATAL_ERROR "only Debian packages can be made: cpack -G DEB")
endif()
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
	execute_process(COMMAND dpkg-parsechangelog -l ${CPACK_DEBIAN_DIR}/changelog -S Timestamp OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE
		COMMAND_ERROR_IS_FATAL ANY)
	set(ENV{SOURCE_DATE_EPOCH} ${date})
endif()
file(GLOB_RECURSE files ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/man/man*/* ${CPACK_TEMPORARY_DIRECTORY}/*/usr/share/doc/*/changelog)
execute_process(COMMAND gzip -9nf ${files} COMMAND_ERROR_IS_FATAL ANY)
file(CHMOD_RECURSE ${CPACK_TEMPORARY_DIRECTORY} DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
