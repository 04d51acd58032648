// swift-tools-version: 6.2
import PackageDescription

// Apart from the project's own package: nobody who builds repl-watchdog needs these programs.
let package = Package(
    name: "benchmarks",
    dependencies: [.package(name: "repl-watchdog", path: "..")],
    targets: [
        .executableTarget(
            name: "driver", dependencies: [.product(name: "MySQLWire", package: "repl-watchdog")],
            swiftSettings: [.enableUpcomingFeature("NonisolatedNonsendingByDefault"), .swiftLanguageMode(.v6)])
    ]
)
