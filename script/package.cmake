# Debian packages, by `cpack -G DEB` in the build's directory: registryd, and registryd-cuda where the CUDA module was built, so that the former
# needs no library of CUDA's. Maintainer scripts and what else Debian wants are in etc/debian. The same programs give the same bytes.
set(debian ${CMAKE_SOURCE_DIR}/etc/debian)
set(REGISTRYD_MAINTAINER "registryd maintainers <registryd@lists.registryd.org>" CACHE STRING "Maintainer that the packages name")

set(doc ${CMAKE_INSTALL_DATADIR}/doc)
set(CPACK_COMPONENTS_ALL registryd)
install(FILES ${debian}/copyright ${debian}/changelog DESTINATION ${doc}/registryd)
install(FILES ${debian}/registryd.lintian DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME registryd)
if(REGISTRYD_CUDA_FOUND)
	list(APPEND CPACK_COMPONENTS_ALL cuda)
	install(FILES ${debian}/copyright ${debian}/changelog DESTINATION ${doc}/registryd-cuda COMPONENT cuda)
	install(FILES ${debian}/registryd-cuda.lintian DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides COMPONENT cuda RENAME registryd-cuda)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME registryd)
set(CPACK_PACKAGE_CONTACT "${REGISTRYD_MAINTAINER}")
set(CPACK_SET_DESTDIR ON)	# there is more than the prefix: /etc, /lib
set(CPACK_INSTALL_PREFIX /usr)	# whatever that of the build is
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/script/package-finish.cmake)
set(CPACK_DEBIAN_DIR ${debian})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_REGISTRYD_PACKAGE_NAME registryd)
set(CPACK_DEBIAN_REGISTRYD_PACKAGE_SECTION net)
set(CPACK_DEBIAN_REGISTRYD_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | adduser")	# one to make the user with
set(CPACK_DEBIAN_REGISTRYD_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_REGISTRYD_PACKAGE_SUGGESTS registryd-cuda)
set(CPACK_DEBIAN_REGISTRYD_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_DEBIAN_REGISTRYD_DESCRIPTION "mirror and registry of machine-learning models
registryd mirrors models from the Hugging Face Hub, proves every byte against
the upstream commit, inspects and smoke-tests each model, applies the site's
policy (licences, formats, sizes), and serves what passed to unmodified Hub
clients. Models cross to sites without a network as signed bundles.

This package holds the daemon, its command line registryctl, and the test
program registryd-smoke, which runs models on the processor.")

# cuBLAS and the driver come from NVIDIA's packages or installers, under names that are not Debian's to know: recommended, not demanded.
set(CPACK_DEBIAN_CUDA_PACKAGE_NAME registryd-cuda)
set(CPACK_DEBIAN_CUDA_PACKAGE_SECTION contrib/net)
set(CPACK_DEBIAN_CUDA_PACKAGE_DEPENDS "registryd (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CUDA_PACKAGE_RECOMMENDS "libcublas-${CUDAToolkit_VERSION_MAJOR}-${CUDAToolkit_VERSION_MINOR}, libcuda1")
set(CPACK_DEBIAN_CUDA_DESCRIPTION "smoke tests of registryd on NVIDIA GPUs
The module that registryd-smoke opens to run models on an NVIDIA GPU.

It needs NVIDIA's driver and cuBLAS ${CUDAToolkit_VERSION_MAJOR}, which are not in Debian; without them
models are tested on the processor, as without this package.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CUDAToolkit_LIBRARY_DIR})

include(CPack)
