import MySQLDump
import MySQLWire

/// What the process tells its caller, as monitoring plugins do.
package enum ExitStatus {
    package static let ok: Int32 = 0
    /// A warning, or an operation is under way.
    package static let warning: Int32 = 1
    /// Something is wrong with the cluster, or it cannot be judged.
    package static let critical: Int32 = 2
    /// An own fault: says nothing about the cluster.
    package static let unknown: Int32 = 3
    /// EX_USAGE of sysexits.h.
    package static let usage: Int32 = 64
    /// EX_CONFIG of sysexits.h.
    package static let configuration: Int32 = 78

    /// Whose fault a failed call to a server is: the server's (2) or our own (3).
    package static func of(_ error: MySQLError) -> Int32 {
        switch error.code {
        case .resolve, .configuration, .system, .authentication, .cancelled, .tls, .busy, .conversion: unknown
        case .server:
            // Access denied, and a user or host that is not let in: our credentials, not the server.
            [1044, 1045, 1130, 1142, 1227, 1698, 3118].contains(error.number ?? 0) ? unknown : critical
        default: critical
        }
    }

    package static func of(_ error: DumpError) -> Int32 {
        switch error.cause {
        case .server(let error): of(error)
        case .file, .cancelled: unknown
        case .incomplete, .mismatch, .unsupported, .busy: critical
        }
    }
}
