"""What moves a show: its clock, the parameters' present values, and the sources that steer them."""
