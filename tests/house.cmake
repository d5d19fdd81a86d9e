# What the house promises about itself: headers stand alone, the drop-in heap
# needs libc only, documents tell the truth, and other projects can use steady.
