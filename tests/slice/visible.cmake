# Compiles SOURCE with -fvisibility=hidden and expects that SYMBOLS stay visible: what
# must be one in the process is one, however a shared library is compiled.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${COMPILER} -std=c++20 -fvisibility=hidden -c -I ${INCLUDE} ${SOURCE} -o ${OBJECT}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${READELF} -sW ${OBJECT} OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
foreach(symbol IN LISTS SYMBOLS)
  string(REGEX MATCH "[^\n]*${symbol}[^\n]*" line "${table}")
  if(NOT line MATCHES " DEFAULT ")
    message(FATAL_ERROR "${symbol} should be visible outside of its library; its line is:\n${line}")
  endif()
endforeach()
