# cmake -DOUT=file.cpp -DFOLDER=analysis/report -P embed.cmake: the page's parts as C++ string literals.
set(text "#include \"analysis/report_page.h\"\n\nnamespace tide::analysis {\n")
foreach(pair kPageTemplate=page.html kPageStyle=style.css kCommonScript=common.js
        kRecordingScript=recording.js kSweepScript=sweep.js kPlanScript=plan.js)
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 file)
  file(READ ${FOLDER}/${file} part)
  string(APPEND text "const char* const ${name} = R\"part(${part})part\";\n")
endforeach()
string(APPEND text "}  // namespace tide::analysis\n")
file(WRITE ${OUT} "${text}")
