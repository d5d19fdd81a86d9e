// machine.hpp - on what a measurement was taken: without it a figure means nothing.
#pragma once

#include <string>

namespace steady::cli {

struct machine_facts {
    std::string processor;    // "Intel(R) Xeon(R) Processor"
    unsigned cpus = 0;        // this process may run on
    std::string kernel;       // "Linux 6.1.0"
    std::string huge_pages;   // "always", "madvise", "never", or "unknown"
    std::string build;        // steady::build_description()
    std::string system_heap;  // the object that defines malloc: "/lib/x86_64-linux-gnu/libc.so.6"
    std::string libc;         // "glibc 2.36"
};

machine_facts describe_machine();

}  // namespace steady::cli
