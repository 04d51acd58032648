/// Something without which a server cannot take a dump. Told right behind the beginning of a dump, so that it is asked of
/// the target before anything there is touched.
struct ImportNeed: Sendable, Hashable {
    enum Kind: String, Sendable, CaseIterable {
        /// Names with capitals: a server with lower_case_table_names = 1 would change them.
        case capitals
        /// Definitions were made where names are compared without case.
        case caseless
        case engine
        /// An authentication plugin.
        case plugin
        /// A general tablespace.
        case tablespace
        case collation
        /// innodb_page_size, in bytes.
        case pageSize = "page-size"
        /// No server takes what the source has: the value says what.
        case obstacle
    }
    var kind: Kind
    var value: String
    /// What of the source needs it.
    var by: String
}
