// swift-tools-version: 6.2
import PackageDescription

// CI sets WARNINGS_AS_ERRORS: a warning there is a failure, at a desk it is a warning.
let strict = Context.environment["WARNINGS_AS_ERRORS"] != nil

let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .swiftLanguageMode(.v6),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "repl-watchdog",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "repl-watchdog", targets: ["repl-watchdog"]),
        .library(name: "MySQLWire", targets: ["MySQLWire"]),
        .library(name: "MySQLDump", targets: ["MySQLDump"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        // Without its Foundation trait: the full Foundation would add 45 MB to the static binary.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        // swift-subprocess names its file descriptors and paths in it.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL"),
        .systemLibrary(name: "CZlib"),
        .systemLibrary(name: "CDeflate"),
        // What Swift's Glibc module leaves out: epoll, eventfd, memfd_create, extended attributes.
        .systemLibrary(name: "CLinux"),
        .target(name: "MySQLWire", dependencies: ["CLinux", "COpenSSL"], swiftSettings: settings),
        .target(
            name: "MySQLDump", dependencies: ["MySQLWire", "COpenSSL", "CZlib", "CDeflate"], swiftSettings: settings),
        .target(
            name: "Watchdog",
            dependencies: [
                "MySQLWire", "MySQLDump", "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "TOMLKit", package: "TOMLKit"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "repl-watchdog",
            dependencies: [
                "Watchdog", "MySQLDump", "MySQLWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),

        // Numbers by seed, for everything that is random and must be run again.
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),
        // Starts and stops the real servers and routers of the tests.
        .target(
            name: "TestBed", dependencies: ["MySQLWire", "COpenSSL", "CLinux", "SeededRandom"], path: "Tests/TestBed",
            swiftSettings: settings),
        // Both modes to look at; Scripts/demo runs it.
        .executableTarget(
            name: "demo", dependencies: ["TestBed", "MySQLWire"], path: "Tests/Demo", swiftSettings: settings),
        // Servers for the scripts; Scripts/lib/serve runs it.
        .executableTarget(name: "serve", dependencies: ["TestBed"], path: "Tests/Serve", swiftSettings: settings),
        // Faults at random for a given time, and the figures; Scripts/chaos runs it.
        .executableTarget(
            name: "chaos", dependencies: ["TestBed", "SeededRandom"], path: "Tests/Chaos", swiftSettings: settings),
        .testTarget(
            name: "MySQLWireTests", dependencies: ["MySQLWire", "TestBed", "COpenSSL"], swiftSettings: settings),
        .testTarget(
            name: "MySQLDumpTests", dependencies: ["MySQLDump", "MySQLWire", "TestBed"], swiftSettings: settings),
        // Quorum mode against modelled servers, hosts and networks.
        .target(
            name: "WatchdogSimulation", dependencies: ["Watchdog", "MySQLWire", "SeededRandom"],
            path: "Tests/WatchdogSimulation",
            // One thread per history: the checks at run time cost a sixth of a million histories. The tests, built for
            // debugging, keep them.
            swiftSettings: settings + [
                .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
            ]),
        .executableTarget(
            name: "simulate", dependencies: ["WatchdogSimulation"], path: "Tests/Simulate", swiftSettings: settings),
        .testTarget(
            name: "WatchdogTests",
            dependencies: [
                "Watchdog", "MySQLDump", "MySQLWire", "repl-watchdog", "WatchdogSimulation", "SeededRandom",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "LiveTests",
            dependencies: [
                "Watchdog", "MySQLDump", "MySQLWire", "TestBed", "repl-watchdog",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
