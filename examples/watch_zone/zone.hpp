// The smallest distance that a person may have.

#ifndef ZONE_HPP_
#define ZONE_HPP_

#include <algorithm>
#include <cmath>

#include "diffpose_ros/msg/skeleton3_d.hpp"

constexpr double SIGMAS = 2.0;

// Smallest possible distance of any joint from the camera, metres; NaN if an input is NaN.
inline double nearest(const diffpose_ros::msg::Skeleton3D & person)
{
  double found = INFINITY;
  for (const auto & joint : person.joints) {
    const double p[3] = {joint.position.x, joint.position.y, joint.position.z};
    const double distance = std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
    double variance = 0.0;  // along the line of sight, of root and joint together
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 3; ++k) {
        const double both = joint.covariance[3 * i + k] + person.root_covariance[3 * i + k];
        variance += p[i] * both * p[k] / std::max(distance * distance, 1e-12);
      }
    }
    const double near = distance - SIGMAS * std::sqrt(std::max(variance, 0.0));
    if (std::isnan(near)) {
      return near;
    }
    found = std::min(found, near);
  }
  return found;
}

#endif  // ZONE_HPP_
