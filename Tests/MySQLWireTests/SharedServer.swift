import TestBed
import Testing

@testable import MySQLWire

/// One real server for all tests of a suite.
struct SharedServer: SuiteTrait, TestScoping {
    @TaskLocal private static var server: MySQLServer?

    let kind: MySQLServer.Kind
    let options: [String]

    /// The suite's server.
    static var current: MySQLServer {
        get throws { try #require(server, "the suite has no .server trait") }
    }

    @concurrent func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        try await withServer(kind, options: options) { server in
            defer {
                // What a test saw of it is easier to understand then.
                if server.pid == nil { Issue.record("the suite's server has ended: \(server.errorLog.suffix(2_000))") }
            }
            try await Self.$server.withValue(server) { try await function() }
        }
    }
}

extension Trait where Self == SharedServer {
    static func server(_ kind: MySQLServer.Kind, options: [String] = []) -> SharedServer {
        SharedServer(kind: kind, options: options)
    }
}

/// A deadline that only a hang reaches: a machine at six times its load has taken 20 s to greet.
var soon: Deadline { .after(.seconds(60)) }

/// The error that `body` ends with.
func failure(_ body: () async throws -> Void) async -> MySQLError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? MySQLError
    }
}
