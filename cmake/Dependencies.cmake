# What is not ours. Debian packages through their own CMake or pkg-config files; LibTorch from the
# PyPI wheel through two imported targets of our own, because the wheel's CMake package insists on a
# CUDA toolkit and links libtorch_cuda, which costs about 0.7 s at every start.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(HDF5 REQUIRED COMPONENTS C HL)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy libhwy-contrib)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

add_library(tide_hdf5 INTERFACE)
target_include_directories(tide_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(tide_hdf5 INTERFACE ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES})

# The wheel bundles other fmt headers, which shadow Debian's: header-only avoids a link against the
# wrong one.
add_library(tide_fmt ALIAS fmt::fmt-header-only)

if(NOT EXISTS ${TIDEGAUGE_PYTHON})
  message(FATAL_ERROR "no Python environment at ${TIDEGAUGE_PYTHON}: run `make setup` first, or set TIDEGAUGE_PYTHON")
endif()
execute_process(
  COMMAND ${TIDEGAUGE_PYTHON} -c "import sysconfig; print(sysconfig.get_paths()['purelib'])"
  OUTPUT_VARIABLE TIDEGAUGE_SITE OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(TORCH_ROOT ${TIDEGAUGE_SITE}/torch)
set(TORCH_NVIDIA_LIB ${TIDEGAUGE_SITE}/nvidia/cu13/lib)
add_library(tide_c10 SHARED IMPORTED)
set_target_properties(tide_c10 PROPERTIES IMPORTED_LOCATION ${TORCH_ROOT}/lib/libc10.so IMPORTED_NO_SONAME TRUE)
add_library(tide_torch_cpu SHARED IMPORTED)
set_target_properties(tide_torch_cpu PROPERTIES
  IMPORTED_LOCATION ${TORCH_ROOT}/lib/libtorch_cpu.so
  INTERFACE_LINK_LIBRARIES tide_c10)
target_include_directories(tide_torch_cpu SYSTEM INTERFACE ${TORCH_ROOT}/include)
target_link_options(tide_torch_cpu INTERFACE
  -Wl,-rpath,${TORCH_ROOT}/lib -Wl,-rpath-link,${TORCH_NVIDIA_LIB} -Wl,-rpath-link,${TORCH_ROOT}/lib)

if(TIDEGAUGE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
