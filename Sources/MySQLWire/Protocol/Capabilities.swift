/// Capability flags that this client may offer.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
struct Capabilities: OptionSet, Sendable {
    let rawValue: UInt32

    static let longPassword = Capabilities(rawValue: 1)
    static let longFlag = Capabilities(rawValue: 1 << 2)
    static let connectWithDatabase = Capabilities(rawValue: 1 << 3)
    static let protocol41 = Capabilities(rawValue: 1 << 9)
    static let ssl = Capabilities(rawValue: 1 << 11)
    static let transactions = Capabilities(rawValue: 1 << 13)
    static let secureConnection = Capabilities(rawValue: 1 << 15)
    static let multiResults = Capabilities(rawValue: 1 << 17)
    static let pluginAuth = Capabilities(rawValue: 1 << 19)
    static let connectAttributes = Capabilities(rawValue: 1 << 20)
    static let pluginAuthLenencData = Capabilities(rawValue: 1 << 21)
    static let sessionTrack = Capabilities(rawValue: 1 << 23)
    static let deprecateEOF = Capabilities(rawValue: 1 << 24)

    /// Without these there is no session.
    static let mandatory: Capabilities = [.protocol41, .secureConnection]

    /// Offered where the server has them. CLIENT_LOCAL_FILES is never offered (a server could read any file of this
    /// host with it), nor CLIENT_MULTI_STATEMENTS (it turns a quoting fault into a second statement).
    static let wanted: Capabilities = [
        .longPassword, .longFlag, .protocol41, .transactions, .secureConnection, .multiResults, .pluginAuth,
        .connectAttributes, .pluginAuthLenencData, .sessionTrack, .deprecateEOF,
    ]
}

/// Status flags of OK and EOF packets.
/// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html
struct ServerStatus: OptionSet, Sendable {
    let rawValue: UInt16
    static let moreResults = ServerStatus(rawValue: 0x0008)
    static let noBackslashEscapes = ServerStatus(rawValue: 0x0200)
    static let sessionStateChanged = ServerStatus(rawValue: 0x4000)
}
