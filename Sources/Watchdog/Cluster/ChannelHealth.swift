/// What the errors of a channel say. The numbers, never the sentences:
/// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
/// https://dev.mysql.com/doc/mysql-errors/8.4/en/global-error-reference.html
extension ReplicationChannel {
    package enum Health: Sendable, Hashable {
        case running
        /// Stopped without an error: somebody stopped it, or it was never started.
        case stopped
        /// The receiver does not reach its source. Nothing is wrong with the data.
        case disconnected(String)
        /// The applier was stopped by what passes. Nothing is wrong with the data: it only needs to be started.
        case interrupted(String)
        /// It does not go on by itself: `dataDiffer`, `isRefused`, or an error that says nothing of the data.
        case broken(String)
    }

    /// Errors of the applier that may be gone at the next start.
    private static let passing: Set<Int> = [
        // No disk, file or memory: EE_CANTCREATEFILE, EE_WRITE, EE_OUTOFMEMORY, EE_DISK_FULL, EE_OUT_OF_FILERESOURCES,
        // EE_SYNC, ER_DISK_FULL, ER_ERROR_ON_WRITE, ER_GET_ERRNO, ER_OUTOFMEMORY, ER_OUT_OF_SORTMEMORY,
        // ER_OUT_OF_RESOURCES, ER_RECORD_FILE_FULL, ER_CANT_CREATE_THREAD
        1, 3, 5, 20, 23, 27, 1021, 1026, 1030, 1037, 1038, 1041, 1114, 1135,
        // A lock: ER_LOCK_WAIT_TIMEOUT, ER_LOCK_TABLE_FULL, ER_LOCK_DEADLOCK, ER_GET_TEMPORARY_ERRMSG, ER_XA_RBTIMEOUT,
        // ER_XA_RBDEADLOCK, ER_TOO_MANY_CONCURRENT_TRXS, ER_LOCK_NOWAIT
        1205, 1206, 1213, 1297, 1613, 1614, 1637, 3572,
        // A thread that was killed, a shutdown: ER_SERVER_SHUTDOWN, ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT
        1053, 1317, 3024,
        // What the coordinator and the other workers say of these: ER_MTA_INCONSISTENT_DATA,
        // ER_REPLICA_WORKER_STOPPED_PREVIOUS_THD_ERROR
        1756, 3030,
    ]

    /// Errors of the applier by which the data differ from what the transaction was made on.
    private static let differing: Set<Int> = [
        // Rows: ER_KEY_NOT_FOUND, ER_DUP_ENTRY, ER_ROW_IS_REFERENCED_2, ER_NO_REFERENCED_ROW_2,
        // ER_NO_PARTITION_FOR_GIVEN_VALUE, ER_DUP_ENTRY_WITH_KEY_NAME
        1032, 1062, 1451, 1452, 1526, 1586,
        // Databases and tables: ER_DB_CREATE_EXISTS, ER_DB_DROP_EXISTS, ER_BAD_DB_ERROR, ER_TABLE_EXISTS_ERROR,
        // ER_BAD_TABLE_ERROR, ER_NO_SUCH_TABLE
        1007, 1008, 1049, 1050, 1051, 1146,
        // Columns, keys, partitions: ER_BAD_FIELD_ERROR, ER_DUP_FIELDNAME, ER_DUP_KEYNAME, ER_MULTIPLE_PRI_KEY,
        // ER_CANT_DROP_FIELD_OR_KEY, ER_KEY_DOES_NOT_EXITS, ER_DROP_PARTITION_NON_EXISTENT, ER_SAME_NAME_PARTITION,
        // ER_BINLOG_ROW_WRONG_TABLE_DEF, ER_REPLICA_CONVERSION_FAILED, ER_SERVER_REPLICA_CONVERSION_FAILED
        1054, 1060, 1061, 1068, 1091, 1176, 1507, 1517, 1535, 1677, 13146,
        // Routines, triggers, events, accounts: ER_SP_ALREADY_EXISTS, ER_SP_DOES_NOT_EXIST, ER_TRG_ALREADY_EXISTS,
        // ER_TRG_DOES_NOT_EXIST, ER_CANNOT_USER, ER_EVENT_ALREADY_EXISTS, ER_EVENT_DOES_NOT_EXIST
        1304, 1305, 1359, 1360, 1396, 1537, 1539,
        // Prepared transactions: ER_XAER_NOTA, ER_XAER_DUPID
        1397, 1440,
    ]

    /// ER_SOURCE_FATAL_ERROR_READING_BINLOG, and as the error log numbers it.
    private static let refusals: Set<Int> = [1236, 13114]

    /// The applier stopped at an error that only other data end.
    package var dataDiffer: Bool { Self.differing.contains(applierErrno) }

    /// The source does not send what it was asked for. It has one number for what it has purged, for a second replica of
    /// this server's name, for a row that is too large and for a damaged log: only the GTID sets tell some of them apart.
    package var isRefused: Bool { receiver == .off && Self.refusals.contains(receiverErrno) }

    /// ER_REPLICA_RELAY_LOG_READ_FAILURE, and as the error log numbers it: what was received is damaged on disk.
    private static let damaged: Set<Int> = [1594, 13121]

    package var applierFault: String {
        let fault = "applier error \(applierErrno): \(applierError)"
        return Self.damaged.contains(applierErrno) ? "\(fault) (\(Remedy.damagedRelayLogs))" : fault
    }
    package var receiverFault: String { "receiver error \(receiverErrno): \(receiverError)" }

    package var health: Health {
        if Self.passing.contains(applierErrno), !isRefused { return .interrupted(applierFault) }
        if applierErrno != 0 { return .broken(applierFault) }
        if isRefused { return .broken(receiverFault) }
        switch (receiver, applierRuns) {
        case (.on, true): return .running
        case (.connecting, _):
            return .disconnected(
                receiverErrno == 0 ? "receiver is connecting to \(sourceHost):\(sourcePort)" : receiverFault)
        case (.off, _) where receiverErrno != 0: return .disconnected(receiverFault)
        default: return .stopped
        }
    }
}
