"""BVH files of people who stand, turn and move, made here."""

from __future__ import annotations

import numpy as np

from diffpose_ros.core import H36M17


def write_bvh(path, joints, frames, *, order="ZXY", frame_time=1 / 30, root=(0.0, 0.0, 0.0)):
    """A file from ``joints``: name -> (parent, offset); end sites are named ``<parent>_end``.

    Args:
        frames: list of dictionaries joint -> three angles in degrees, in ``order``; others are 0.
    """
    names = list(joints)
    lines = ["HIERARCHY"]

    def block(name, depth):
        pad, (parent, offset) = "\t" * depth, joints[name]
        is_end = name.endswith("_end")
        title = "End Site" if is_end else f"{'JOINT' if parent else 'ROOT'} {name}"
        lines.extend([pad + title, pad + "{", f"{pad}\tOFFSET {' '.join(map(str, offset))}"])
        if not is_end:
            turns = " ".join(f"{a}rotation" for a in order)
            place = "" if parent else "Xposition Yposition Zposition "
            lines.append(f"{pad}\tCHANNELS {3 if parent else 6} {place}{turns}")
        for child in names:
            if joints[child][0] == name:
                block(child, depth + 1)
        lines.append(pad + "}")

    block(names[0], 0)
    lines += ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {frame_time:.7f}"]

    def depth_first(name):
        yield name
        for child in names:
            if joints[child][0] == name:
                yield from depth_first(child)

    for i, frame in enumerate(frames):
        place = frame.get("position", np.add(root, (0.0, 0.0, 0.1 * i)))
        row = list(place)
        for name in depth_first(names[0]):
            if not name.endswith("_end"):
                row += list(frame.get(name, (0.0, 0.0, 0.0)))
        lines.append(" ".join(f"{v:.6f}" for v in row))
    path.write_text("\n".join(lines) + "\n")
    return path


# H36M-17 joint -> where it is in a standing person, metres, Y up, facing +z.
STANDING = {
    "hip": (0, 0.95, 0), "left_hip": (0.1, 0.93, 0), "left_knee": (0.1, 0.5, 0),
    "left_ankle": (0.1, 0.09, 0), "right_hip": (-0.1, 0.93, 0), "right_knee": (-0.1, 0.5, 0),
    "right_ankle": (-0.1, 0.09, 0), "spine": (0, 1.2, 0), "thorax": (0, 1.42, 0),
    "head": (0, 1.52, 0), "head_end": (0, 1.7, 0), "left_shoulder": (0.18, 1.4, 0),
    "left_elbow": (0.46, 1.4, 0), "left_wrist": (0.7, 1.4, 0), "right_shoulder": (-0.18, 1.4, 0),
    "right_elbow": (-0.46, 1.4, 0), "right_wrist": (-0.7, 1.4, 0),
}  # fmt: skip
PARENTS = {
    "left_hip": "hip", "left_knee": "left_hip", "left_ankle": "left_knee", "right_hip": "hip",
    "right_knee": "right_hip", "right_ankle": "right_knee", "spine": "hip", "thorax": "spine",
    "head": "thorax", "head_end": "head", "left_shoulder": "thorax", "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow", "right_shoulder": "thorax", "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
}  # fmt: skip
FILE_NAMES = {
    "cmu": ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot",
            "Spine1", "Neck1", "Head", "LeftArm", "LeftForeArm", "LeftHand", "RightArm",
            "RightForeArm", "RightHand"),
    "mixamo": ("mixamorig:Hips", "mixamorig:LeftUpLeg", "mixamorig:LeftLeg", "mixamorig:LeftFoot",
               "mixamorig:RightUpLeg", "mixamorig:RightLeg", "mixamorig:RightFoot",
               "mixamorig:Spine1", "mixamorig:Neck", "mixamorig:Head", "mixamorig:LeftArm",
               "mixamorig:LeftForeArm", "mixamorig:LeftHand", "mixamorig:RightArm",
               "mixamorig:RightForeArm", "mixamorig:RightHand"),
    "motionbuilder": ("Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg",
                      "RightFoot", "Spine", "Neck", "Head", "LeftArm", "LeftForeArm", "LeftHand",
                      "RightArm", "RightForeArm", "RightHand"),
    "iclone": ("CC_Base_Hip", "CC_Base_L_Thigh", "CC_Base_L_Calf", "CC_Base_L_Foot",
               "CC_Base_R_Thigh", "CC_Base_R_Calf", "CC_Base_R_Foot", "CC_Base_Spine01",
               "CC_Base_NeckTwist01", "CC_Base_Head", "CC_Base_L_Upperarm", "CC_Base_L_Forearm",
               "CC_Base_L_Hand", "CC_Base_R_Upperarm", "CC_Base_R_Forearm", "CC_Base_R_Hand"),
    "biped": ("Bip01", "Bip01 L Thigh", "Bip01 L Calf", "Bip01 L Foot", "Bip01 R Thigh",
              "Bip01 R Calf", "Bip01 R Foot", "Bip01 Spine1", "Bip01 Neck", "Bip01 Head",
              "Bip01 L UpperArm", "Bip01 L Forearm", "Bip01 L Hand", "Bip01 R UpperArm",
              "Bip01 R Forearm", "Bip01 R Hand"),
    "daz": ("hip", "lThigh", "lShin", "lFoot", "rThigh", "rShin", "rFoot", "chest", "neck", "head",
            "lShldr", "lForeArm", "lHand", "rShldr", "rForeArm", "rHand"),
    "xsens": ("Hips", "LeftHip", "LeftKnee", "LeftAnkle", "RightHip", "RightKnee", "RightAnkle",
              "Chest2", "Neck", "Head", "LeftShoulder", "LeftElbow", "LeftWrist", "RightShoulder",
              "RightElbow", "RightWrist"),
    "h36m": ("Hip", "LeftHip", "LeftKnee", "LeftAnkle", "RightHip", "RightKnee", "RightAnkle",
             "Spine", "Thorax", "Neck", "LeftShoulder", "LeftElbow", "LeftWrist", "RightShoulder",
             "RightElbow", "RightWrist"),
    "h36m short": ("Hip", "LHip", "LKnee", "LAnkle", "RHip", "RKnee", "RAnkle", "Spine", "Thorax",
                   "Neck", "LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist"),
}  # fmt: skip
OURS = ("hip", "left_hip", "left_knee", "left_ankle", "right_hip", "right_knee", "right_ankle",
        "spine", "thorax", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
        "right_elbow", "right_wrist")  # fmt: skip
MARKS = {"cmu": ("LowerBack",), "mixamo": ("mixamorig:Spine2",)}


def skeleton(kind="cmu", unit=0.01, axes=((1, 0, 0), (0, 1, 0), (0, 0, 1))):
    """Joints of a standing person for :func:`write_bvh`, in units of ``unit`` metres."""
    name = dict(zip(OURS, FILE_NAMES[kind], strict=True))
    name["head_end"] = name["head"] + "_end"
    turn = np.array(axes, dtype=float)
    out = {name["hip"]: (None, (0, 0, 0))}
    for joint, parent in PARENTS.items():
        offset = turn @ (np.subtract(STANDING[joint], STANDING[parent])) / unit
        out[name[joint]] = (name[parent], tuple(np.round(offset, 6)))
    for mark in MARKS.get(kind, ()):
        out[mark] = (name["hip"], (0, 0, 0))
    return out


def person(tmp_path, frames=({},), *, kind="cmu", unit=0.01, name="a.bvh", **options):
    root = np.array(STANDING["hip"]) / unit
    path = tmp_path / name
    return write_bvh(path, skeleton(kind, unit), list(frames), root=root, **options)


def joint(clip, name):
    return clip.h36m17[:, H36M17.index(name)]
