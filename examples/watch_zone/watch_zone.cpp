// Publishes whether anybody may be nearer than a distance: /diffpose/skeletons -> zone_occupied.
//
// Two standard deviations are subtracted from the distance of each joint. If no skeletons arrive for
// half a second, nothing is known, and the zone counts as occupied.

#include <algorithm>
#include <chrono>
#include <memory>

#include "diffpose_ros/msg/skeleton3_d_array.hpp"
#include "rclcpp/rclcpp.hpp"
#include "std_msgs/msg/bool.hpp"
#include "zone.hpp"

using diffpose_ros::msg::Skeleton3DArray;
using std::chrono_literals::operator""ms;

constexpr auto SILENCE = 500ms;

class WatchZone : public rclcpp::Node
{
public:
  WatchZone()
  : Node("watch_zone"), distance_m_(declare_parameter("distance_m", 2.0)), last_(now())
  {
    occupied_ = create_publisher<std_msgs::msg::Bool>("zone_occupied", 10);
    skeletons_ = create_subscription<Skeleton3DArray>(
      "/diffpose/skeletons", 10, [this](const Skeleton3DArray & message) {skeletons_came(message);});
    timer_ = create_wall_timer(100ms, [this]() {tell_when_silent();});
  }

private:
  void skeletons_came(const Skeleton3DArray & message)
  {
    last_ = now();
    tell(std::any_of(
      message.skeletons.begin(), message.skeletons.end(),
      // NaN does not prove that nobody is there
      [this](const auto & person) {return !(nearest(person) > distance_m_);}));
  }

  void tell_when_silent()
  {
    if (now() - last_ > rclcpp::Duration(SILENCE)) {
      tell(true);
    }
  }

  void tell(bool occupied)
  {
    std_msgs::msg::Bool message;
    message.data = occupied;
    occupied_->publish(message);
  }

  double distance_m_;
  rclcpp::Time last_;
  rclcpp::Publisher<std_msgs::msg::Bool>::SharedPtr occupied_;
  rclcpp::Subscription<Skeleton3DArray>::SharedPtr skeletons_;
  rclcpp::TimerBase::SharedPtr timer_;
};

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<WatchZone>());
  rclcpp::shutdown();
  return 0;
}
