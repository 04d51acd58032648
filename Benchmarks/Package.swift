// swift-tools-version: 6.2
import PackageDescription

// Apart from the project's own package: nobody who builds repl-watchdog needs these programs.
let settings: [SwiftSetting] = [.enableUpcomingFeature("NonisolatedNonsendingByDefault"), .swiftLanguageMode(.v6)]

let package = Package(
    name: "benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "repl-watchdog", path: ".."),
        // Without its interposers of malloc and of reference counting.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
    ],
    targets: [
        .executableTarget(
            name: "driver", dependencies: [.product(name: "MySQLWire", package: "repl-watchdog")],
            swiftSettings: settings),
        // swift package --package-path Benchmarks benchmark
        .executableTarget(
            name: "InProcess",
            dependencies: [
                .product(name: "MySQLWire", package: "repl-watchdog"),
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/InProcess", swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
