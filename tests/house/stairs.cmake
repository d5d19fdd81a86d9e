# Includes go down the stairs only: a file of a room may include its own room
# and the rooms below it, and only public headers of those. `map`
# takes an allocator and never names `heap`; a slice needs the heap, which finds
# the array behind an address and counts its owners.
#
#   own        the room itself, detail/ included
#   below      rooms whose public headers may be included
#
# One exception: detail/syscall.hpp, detail/front.hpp, detail/object_counts.hpp and
# detail/lone_counts.hpp are the seams that a neighbour may use (`heap` makes raw system
# calls, `malloc` is a thin skin of the heap's front, `slice` counts owners beside the spans).
cmake_minimum_required(VERSION 3.25)
set(below_core "")
set(below_os core)
set(below_heap core os)
set(below_malloc core os heap)
set(below_slice core heap)
set(below_map core os slice)
set(below_go core os heap slice)
set(below_concurrent core os slice map)
set(below_gc core os heap slice map)
set(below_profile core os heap slice)
set(below_trace core os heap)
set(below_audit core os heap slice map go concurrent gc profile trace)
set(seams detail/syscall.hpp detail/front.hpp detail/object_counts.hpp detail/lone_counts.hpp)

set(findings 0)
file(GLOB_RECURSE files RELATIVE ${ROOT} ${ROOT}/include/steady/*.hpp ${ROOT}/src/*.hpp ${ROOT}/src/*.cpp)
foreach(file IN LISTS files)
  string(REGEX REPLACE "^(include/steady|src)/([^/]+)/.*$" "\\2" room ${file})
  if(NOT DEFINED below_${room})
    message(SEND_ERROR "${file}: `${room}` is no room of the house; tests/house/stairs.cmake lists them.")
    continue()
  endif()
  file(STRINGS ${ROOT}/${file} lines REGEX "^ *# *include +[\"<]steady/")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^.*steady/([^/]+)/([^\">]+)[\">].*$" "\\1;\\2" parts "${line}")
    list(GET parts 0 target)
    list(GET parts 1 header)
    if(target STREQUAL room)
      continue()
    endif()
    if(NOT target IN_LIST below_${room})
      message(SEND_ERROR "${file}: ${room} includes ${target}/${header}, but ${target} is not below ${room}.")
    elseif(header MATCHES "^detail/" AND NOT header IN_LIST seams)
      message(SEND_ERROR "${file}: ${room} includes ${target}/${header}, which is private to ${target}.")
    endif()
  endforeach()
endforeach()
