"""What differs between the engines, behind one interface."""
