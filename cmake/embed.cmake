# steady_embed(target NAME file...): each file becomes, inside the target, a
# constant that C++ reads as text:
#
#   steady_embed(steady_cli uplot ${PROJECT_SOURCE_DIR}/third_party/uplot/uPlot.iife.min.js)
#
#   #include "embedded/uplot.hpp"          std::string_view embedded::uplot
#
# NAME is an identifier; several files are joined in the order given.

set(STEADY_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

if(CMAKE_SCRIPT_MODE_FILE)
  # cmake -DNAME=.. -DFILES=a|b -DOUT=stem -P embed.cmake: writes stem.hpp and stem.cpp.
  string(REPLACE "|" ";" files "${FILES}")
  set(hex "")
  foreach(file IN LISTS files)
    file(READ ${file} part HEX)
    string(APPEND hex "${part}")
  endforeach()
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUT}.hpp "#pragma once\n#include <string_view>\nnamespace embedded {\nextern const std::string_view ${NAME};\n}\n")
  file(WRITE ${OUT}.cpp "#include \"embedded/${NAME}.hpp\"\n\nnamespace {\nconst unsigned char bytes[] = {\n${bytes}0x00};\n}\n"
       "const std::string_view embedded::${NAME}{reinterpret_cast<const char*>(bytes), ${size}};\n")
  return()
endif()

function(steady_embed target name)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/embed)
  set(stem ${folder}/embedded/${name})
  string(REPLACE ";" "|" files "${ARGN}")
  add_custom_command(
    OUTPUT ${stem}.hpp ${stem}.cpp
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} "-DFILES=${files}" -DOUT=${stem} -P ${STEADY_EMBED_SCRIPT}
    DEPENDS ${ARGN} ${STEADY_EMBED_SCRIPT}
    VERBATIM)
  target_sources(${target} PRIVATE ${stem}.hpp ${stem}.cpp)
  target_include_directories(${target} PRIVATE ${folder})
endfunction()
