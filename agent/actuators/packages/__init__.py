"""What package modules and package methods say of packages."""
