// version.hpp - which steady this is.
//
// The three numbers below are the only place where the version is written:
// CMake reads them from this file, so the package version, the shared library
// and the headers cannot disagree.
//
// `version()` answers with the version of the *compiled* runtime. A program
// whose headers come from another installation sees the difference here.
#pragma once

#define STEADY_VERSION_MAJOR 0
#define STEADY_VERSION_MINOR 1
#define STEADY_VERSION_PATCH 0

namespace steady {

/// The version the runtime was built from, such as "0.1.0".
///
/// Returns    static text.
/// Cost       none; allocates nothing.
/// Threads    any.
const char* version() noexcept;

/// One line about the build for the head of a benchmark or a report:
/// version, compiler, processor and check level.
///
/// Returns    static text, such as "steady 0.1.0 (gcc 12.2.0, x86-64, check 0)".
/// Cost       none; allocates nothing.
/// Threads    any.
const char* build_description() noexcept;

}  // namespace steady
