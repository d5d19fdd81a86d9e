# libsteady_malloc.so runs before any other library is set up, so it may need
# the C library and the loader, no rpath, and no symbol bound late.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${READELF} -dW ${LIBRARY} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED[^\n]*" needed "${dynamic}")
foreach(line IN LISTS needed)
  if(NOT line MATCHES "\\[(libc\\.so\\.6|ld-linux[^]]*)\\]")
    message(SEND_ERROR "${LIBRARY}: ${line}; the drop-in heap may need libc only.")
  endif()
endforeach()
if(dynamic MATCHES "RPATH|RUNPATH")
  message(SEND_ERROR "${LIBRARY} carries an rpath; it must work wherever it is copied.")
endif()
if(NOT dynamic MATCHES "FLAGS_1[^\n]* NOW")  # GNU and LLVM readelf write it differently
  message(SEND_ERROR "${LIBRARY} binds symbols late; the first call of one would run the loader inside malloc.")
endif()
if(dynamic MATCHES "TEXTREL")
  message(SEND_ERROR "${LIBRARY} has text relocations; some object was not compiled as PIC.")
endif()
