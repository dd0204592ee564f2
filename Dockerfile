# diffpose_ros on ROS 2 Jazzy, by the steps of the README:
#   docker build -t diffpose_ros .
#   docker run --rm -it --network host --ipc host diffpose_ros image:=/camera/image_raw camera_info:=/camera/camera_info
FROM ros:jazzy-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive

# In the place of git clone: this tree.
COPY . /root/ws/src/diffpose_ros
WORKDIR /root/ws

# Debian's mirrors and rosdep choose the versions; a pinned one is gone from the mirror within weeks. The shell is
# bash, which knows `source`.
# hadolint ignore=DL3008,DL3013,SC3046
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3-pip \
  && pip config set --global global.break-system-packages true \
  && source /opt/ros/jazzy/setup.bash \
  && rosdep update --rosdistro jazzy \
  && rosdep install --from-paths src --ignore-src -y --skip-keys rviz2 \
  && pip install --no-cache-dir openvino \
  && colcon build --packages-select diffpose_ros && source install/setup.bash \
  && rm -rf /var/lib/apt/lists/* build log

RUN sed -i 's|^exec|source /root/ws/install/setup.bash\nexec|' /ros_entrypoint.sh
ENTRYPOINT ["/ros_entrypoint.sh", "ros2", "launch", "diffpose_ros", "lift.launch.py"]
