# One interface target with the compiler settings of every library of ours.
add_library(tide_options INTERFACE)
target_compile_options(tide_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror)
# GCC 12 sees overlaps in std::string's operator+ that are not there (its bug 105651).
target_compile_options(tide_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(tide_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
if(TIDEGAUGE_SANITIZE)
  target_compile_options(tide_options INTERFACE -fsanitize=${TIDEGAUGE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(tide_options INTERFACE -fsanitize=${TIDEGAUGE_SANITIZE})
  if(TIDEGAUGE_SANITIZE MATCHES undefined)
    target_compile_options(tide_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()

# tide_library(name SOURCES … LINKS …): one room of the house as a static library.
function(tide_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC tide_options ${ARG_LINKS})
endfunction()

# tide_test(name SOURCES … LINKS …): one GoogleTest program; its tests are found when ctest runs.
function(tide_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 600)
endfunction()
