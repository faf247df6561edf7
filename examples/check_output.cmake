# cmake -DPROGRAM=… -DEXPECTED=… -P check_output.cmake: the program succeeds, and prints exactly what the file says.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE printed RESULT_VARIABLE result TIMEOUT 30)
if(NOT result STREQUAL "0")
    message(FATAL_ERROR "${PROGRAM} ended with: ${result}\n${printed}")
endif()
file(READ "${EXPECTED}" expected)
if(NOT printed STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM} printed\n\n${printed}\nand ${EXPECTED} says\n\n${expected}")
endif()
