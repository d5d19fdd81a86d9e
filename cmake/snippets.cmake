# steady_add_snippets(page): each C++ block of a Markdown page becomes a program
# and a test that compares its output with what the page claims.
#
#   ```cpp
#   #include <steady/...>            include lines go to the top
#   std::cout << 7 << '\n';          // prints: 7
#   ```
#
# A block without its own main() is wrapped into one. The claims, in order, are
# the whole expected output. A block that is not meant to run is fenced as
# ```c++ and only shown.

function(steady_add_snippets page)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  cmake_path(RELATIVE_PATH page BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
  string(REGEX REPLACE "[^A-Za-z0-9]+" "_" name ${name})

  # CMake lists are split at semicolons and brackets, which C++ is full of.
  file(READ ${page} text)
  string(REPLACE "\\" "@backslash@" text "${text}")
  string(REPLACE ";" "@semicolon@" text "${text}")
  string(REPLACE "[" "@open@" text "${text}")
  string(REPLACE "]" "@close@" text "${text}")
  string(REPLACE "\n" ";" lines "${text}")

  set(inside OFF)
  set(count 0)
  foreach(line IN LISTS lines)
    if(line STREQUAL "```cpp")
      set(inside ON)
      set(includes "")
      set(body "")
      set(expected "")
    elseif(inside AND line STREQUAL "```")
      set(inside OFF)
      math(EXPR count "${count} + 1")
      steady_add_snippet(${name}_${count} "${includes}" "${body}" "${expected}")
    elseif(inside AND line MATCHES "^#include")
      string(APPEND includes "${line}\n")
    elseif(inside)
      string(APPEND body "${line}\n")
      if(line MATCHES "// prints: (.*)$")
        string(APPEND expected "${CMAKE_MATCH_1}\n")
      endif()
    endif()
  endforeach()
endfunction()

function(steady_add_snippet name includes body expected)
  if(NOT body MATCHES "int main\\(")
    set(body "int main() {\n${body}}\n")
  endif()
  set(program "${includes}\n${body}")
  foreach(text program expected)
    string(REPLACE "@semicolon@" ";" ${text} "${${text}}")
    string(REPLACE "@open@" "[" ${text} "${${text}}")
    string(REPLACE "@close@" "]" ${text} "${${text}}")
    string(REPLACE "@backslash@" "\\" ${text} "${${text}}")
  endforeach()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/snippets)
  file(CONFIGURE OUTPUT ${folder}/${name}.cpp CONTENT "${program}" @ONLY)
  file(CONFIGURE OUTPUT ${folder}/${name}.expected CONTENT "${expected}" @ONLY)
  steady_add_printing_program(${name} ${folder}/${name}.cpp ${folder}/${name}.expected)
endfunction()

# A program whose whole output is known beforehand.
function(steady_add_printing_program name source expected)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE steady::steady)
  add_test(NAME ${name}_prints_what_it_claims
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${name}> -DEXPECTED=${expected}
            "-DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR}" -P ${PROJECT_SOURCE_DIR}/cmake/compare_output.cmake)
  set_tests_properties(${name}_prints_what_it_claims PROPERTIES LABELS house)
endfunction()
