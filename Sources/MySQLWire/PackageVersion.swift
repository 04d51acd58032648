/// The version of this package, of its libraries and of the program: here, and at the head of CHANGELOG.md.
package enum PackageVersion {
    package static let current = "0.1.0"
}
