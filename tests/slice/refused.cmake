# Compiles SOURCE, expects that it fails, and that the compiler says what the file's
# line `// Says: ...` promises. The same file with -DRIGHT must compile, so that nothing
# else is what was refused.
cmake_minimum_required(VERSION 3.25)
file(STRINGS ${SOURCE} says REGEX "^// Says: ")
string(REGEX REPLACE "^// Says: " "" says "${says}")
set(compile ${COMPILER} -std=c++20 -fsyntax-only -I ${INCLUDE} ${SOURCE})
execute_process(COMMAND ${compile} -DRIGHT RESULT_VARIABLE status ERROR_VARIABLE text)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} does not compile with -DRIGHT either:\n${text}")
endif()
execute_process(COMMAND ${compile} RESULT_VARIABLE status ERROR_VARIABLE text)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles; it should be refused with: ${says}")
endif()
string(FIND "${text}" "${says}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${SOURCE} is refused, but not with: ${says}\n${text}")
endif()
