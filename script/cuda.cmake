# CUDA's toolkit for the GPU backend, or the reason why there is none. Sets REGISTRYD_CUDA_FOUND.
#
# Architectures: a developer's build makes one and PTX (that of the GPU here, else 9.0), so that it stays quick. A package's build names all,
# -DREGISTRYD_CUDA_ARCHITECTURES="75;80;86;89;90;100;120": one fat module for every card since Turing.
set(REGISTRYD_CUDA_ARCHITECTURES "" CACHE STRING "Compute capabilities of the CUDA backend, without the dot; empty: the GPU's here, or 90")
set(REGISTRYD_CUDA_FOUND OFF)

find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR NOT TARGET CUDA::cublas)
	set(reason "the CUDA toolkit with cuBLAS is not here")
else()
	if(REGISTRYD_CUDA_ARCHITECTURES)
		set(CMAKE_CUDA_ARCHITECTURES ${REGISTRYD_CUDA_ARCHITECTURES})
	else()
		execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader OUTPUT_VARIABLE capability RESULT_VARIABLE failed ERROR_QUIET)
		if(NOT failed AND capability MATCHES "^([0-9]+)\\.([0-9]+)")
			set(CMAKE_CUDA_ARCHITECTURES ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
		else()
			set(CMAKE_CUDA_ARCHITECTURES 90)
		endif()
	endif()
	set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
	enable_language(CXX CUDA)
	set(REGISTRYD_CUDA_FOUND ON)
	message(STATUS "CUDA backend: toolkit ${CUDAToolkit_VERSION}, compute capability ${CMAKE_CUDA_ARCHITECTURES}")
endif()

if(NOT REGISTRYD_CUDA_FOUND)
	if(REGISTRYD_CUDA STREQUAL ON)
		message(FATAL_ERROR "REGISTRYD_CUDA is ON, but ${reason}")
	endif()
	message(STATUS "no CUDA backend: ${reason}")
endif()
