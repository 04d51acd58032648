import MySQLWire

/// What was written to a server that is half a copy, beside what its source has and what was saved of it. Pure.
///
/// Such a server is in one of three states, which only its GTID sets tell apart: it was marked and not wiped yet
/// (`executed` is what was saved), it was wiped (`executed` is empty: a copy is not logged), or it has claimed its source's
/// set (that set is `purged`). A wiped server numbers its own transactions from 1 again, so that the numbers of new rows
/// may be those of old ones: neither the source's set nor a former record says anything of them.
package enum HalfCopy {
    /// - Parameters:
    ///   - uuid: of the half copy itself.
    ///   - source: what the server has executed whose copy it is to become.
    ///   - saved: what it had executed when its data was saved; nil where that is not on record, or no longer of use
    ///     because it was wiped since.
    /// - Returns: transactions that would be lost with its data, as far as they were logged.
    package static func written(
        executed: GTIDSet, purged: GTIDSet, uuid: String, source: GTIDSet, saved: GTIDSet?
    ) -> GTIDSet {
        if executed == saved { return GTIDSet() }
        return executed.subtracting(purged).from(uuid: uuid).union(executed.subtracting(source))
    }
}
