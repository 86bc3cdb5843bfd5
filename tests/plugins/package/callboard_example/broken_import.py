import a_package_that_nobody_installed  # type: ignore[import-not-found]  # the point of this file

plugin = a_package_that_nobody_installed
