import MySQLWire

/// Whether a server may be rebuilt by the clone plugin. Pure: what was read of both servers goes in, the reason against
/// it comes out.
/// https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-remote.html
struct CloneCondition: Sendable {
    struct Side: Sendable, Equatable {
        var version: ServerVersion
        /// Page size, operating system, processor: pages are copied as they are.
        var platform: String
        /// Tables of users that are not InnoDB: they arrive empty.
        var otherTables = 0
    }

    var allowed: Bool
    var restarts: Bool
    var donor: Side
    var recipient: Side
    /// Whether the donor has an address that the recipient can reach.
    var donorIsReachable: Bool

    /// Nil: nothing speaks against it.
    var objection: String? {
        guard allowed else { return "not allowed: rebuild.clone is false" }
        guard restarts else { return "rebuild.restart names no command that starts a server again after its clone" }
        guard donorIsReachable else { return "the primary is configured by a socket, which its replica cannot reach" }
        guard Self.goTogether(donor.version, recipient.version) else {
            return "\(donor.version) cannot be cloned to \(recipient.version)"
        }
        guard donor.platform == recipient.platform else {
            return "the servers are of two kinds: \(donor.platform) and \(recipient.platform)"
        }
        guard donor.otherTables == 0 else {
            return "\(donor.otherTables) tables of the primary are not InnoDB and would arrive empty"
        }
        return nil
    }

    /// Both 8.0.17 or newer, and the same version; or of one series since these may be mixed: 8.0 from 8.0.37 on, every
    /// later one from 8.4 on.
    static func goTogether(_ donor: ServerVersion, _ recipient: ServerVersion) -> Bool {
        guard donor.isMySQL(atLeast: 8, 0, 17), recipient.isMySQL(atLeast: 8, 0, 17),
            (donor.major, donor.minor) == (recipient.major, recipient.minor)
        else { return false }
        if donor.patch == recipient.patch { return true }
        return donor.isMySQL(atLeast: 8, 4) || min(donor.patch, recipient.patch) >= 37 && donor.minor == 0
    }
}
