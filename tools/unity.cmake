# What setup adds to the build: the generated C++ files of a target are compiled as one, in two thirds of
# the time. The generated C files share names of static variables, so they stay alone.
cmake_language(DEFER CALL
  set_target_properties diffpose_ros__rosidl_generator_c PROPERTIES UNITY_BUILD OFF)
