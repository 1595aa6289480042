// Read by the leak sanitizer where the tests are built with it, and by nothing else: HDF5 itself loses
// memory when it cannot write or reads a damaged file, which these tests make it do.

extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5\n"; }
