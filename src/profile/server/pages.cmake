# The pages of the debug server and of reports: text and scripts, as data in an object
# library that both profile libraries take in.
add_library(steady_debug_pages OBJECT)
set(pages_dir ${CMAKE_CURRENT_LIST_DIR}/web)
set(third_party ${PROJECT_SOURCE_DIR}/third_party)
steady_embed(steady_debug_pages index_page
  ${pages_dir}/page_head.html ${third_party}/uplot/uPlot.min.css ${pages_dir}/page.css ${pages_dir}/index.css
  ${pages_dir}/index_body.html ${third_party}/uplot/uPlot.iife.min.js ${pages_dir}/between_scripts.html
  ${pages_dir}/index.js ${pages_dir}/page_tail.html)
steady_embed(steady_debug_pages flame_page_head
  ${pages_dir}/page_head.html ${pages_dir}/page.css ${pages_dir}/flame.css ${pages_dir}/flame_body.html)
steady_embed(steady_debug_pages flame_page_tail
  ${pages_dir}/between_scripts.html ${third_party}/d3/d3.min.js ${pages_dir}/between_scripts.html
  ${third_party}/d3-flame-graph/d3-flamegraph.umd.min.js ${pages_dir}/between_scripts.html
  ${pages_dir}/flame.js ${pages_dir}/page_tail.html)
target_compile_features(steady_debug_pages PRIVATE cxx_std_20)
set_target_properties(steady_debug_pages PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF)
include_directories(${CMAKE_CURRENT_BINARY_DIR}/embed)
