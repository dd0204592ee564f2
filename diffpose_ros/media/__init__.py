"""Video files, image folders, camera files, drawing, bags."""
