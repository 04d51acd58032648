import MySQLWire

extension Target {
    /// Whether both servers reckon the checksum of a table in the same way.
    func isComparable(with version: String) -> Bool {
        let source = ServerVersion(version)
        return source.flavor == session.version.flavor && source.major == session.version.major
            && source.minor == session.version.minor
    }

    /// Compares what the target holds now with what the source's snapshot held, with all sessions side by side.
    /// - Parameter taken: checksums of tables here that were taken when all their rows were there.
    func compare(
        _ facts: [TableFact], version: String, taken: [String: String] = [:], warn: (String) -> Void
    ) async throws(DumpError) {
        var here: Set<String> = []
        for schema in try await Catalog.schemas(session, excluded: options.excludedSchemas) {
            for table in try await Catalog.tables(session, schema: schema) where !table.isView {
                here.insert(table.quoted)
            }
        }
        // Dumps of earlier versions hold it.
        let expected = Set(
            facts.filter { !Catalog.isLocal($0.schema, $0.name) && !SystemHomes.contains($0.schema) }.map(\.quoted))
        guard here == expected else {
            let differing = here.symmetricDifference(expected).sorted().prefix(5).joined(separator: ", ")
            throw mismatch("the tables of source and target differ: \(differing)")
        }
        let comparable = isComparable(with: version)
        // Counting and summing a big table are two pieces of work.
        let work = facts.filter { !$0.pointsElsewhere }.flatMap { fact -> [Comparison] in
            let counting = Comparison(fact: fact, checksum: nil)
            guard comparable, let checksum = fact.checksum else { return [counting] }
            return [Comparison(fact: fact, checksum: checksum, taken: taken[fact.quoted]), counting]
        }
        for warning in try await side(by: work) { warn(warning) }
    }

    private struct Comparison: Sendable {
        var fact: TableFact
        /// nil: rows are to be counted.
        var checksum: String?
        /// The table's checksum here, if it is known already.
        var taken: String?
    }

    /// - Returns: the warnings.
    private func side(by work: [Comparison]) async throws(DumpError) -> [String] {
        let next = Monitor(0)
        let results = await withTaskGroup(of: Result<[String], DumpError>.self) { group in
            for session in [session] + loaders {
                group.addTask {
                    var warnings: [String] = []
                    do throws(DumpError) {
                        while true {
                            let index = next.change { next in
                                defer { next += 1 }
                                return next
                            }
                            guard index < work.count else { return .success(warnings) }
                            if let warning = try await compare(work[index], on: session) { warnings.append(warning) }
                        }
                    } catch {
                        // The others begin nothing more.
                        next.change { $0 = work.count }
                        return .failure(error)
                    }
                }
            }
            var results: [Result<[String], DumpError>] = []
            for await result in group { results.append(result) }
            return results
        }
        var warnings: [String] = []
        for result in results { warnings += try result.get() }
        return warnings.sorted()
    }

    /// - Returns: a warning where a difference is what SQL text cannot avoid.
    private func compare(_ work: Comparison, on session: Session) async throws(DumpError) -> String? {
        let fact = work.fact
        guard let checksum = work.checksum else {
            let rows = try await session.value(
                "SELECT COUNT(*) FROM \(fact.quoted)", "count the rows of \(fact.quoted)")
            guard rows == "\(fact.rows)" else {
                throw mismatch("\(fact.quoted) has \(rows ?? "no") rows, the source's snapshot had \(fact.rows)")
            }
            return nil
        }
        var mine = work.taken
        if mine == nil {
            let result = try await session.run("CHECKSUM TABLE \(fact.quoted)", "take the checksum of \(fact.quoted)")
            mine = result.rows.first?.string("Checksum")
        }
        if mine == checksum { return nil }
        if let columns = fact.columns, try await columnChecksum(fact, session) == columns {
            return
                "\(fact.quoted): generated columns or keys over expressions depend on the session that writes a row (time "
                + "zone, language, strictness) and have other values here than on the source; all other columns are equal"
        }
        guard fact.hasJSON else {
            throw mismatch("\(fact.quoted) has the checksum \(mine ?? "NULL"), the source's snapshot had \(checksum)")
        }
        return
            "\(fact.quoted) holds JSON values (dates, decimals or binary) that SQL text does not carry exactly: its checksum differs from the source's"
    }
}

extension Target {
    private func columnChecksum(_ fact: TableFact, _ session: Session) async throws(DumpError) -> String? {
        let table = Catalog.Table(schema: fact.schema, name: fact.name, isView: false, engine: "")
        let columns = try await Catalog.columns(session, of: table)
        return try await session.value(
            "SELECT \(ColumnChecksum.expression(columns)) FROM \(fact.quoted)",
            "take the checksum of the columns of \(fact.quoted)")
    }
}

extension TableFact {
    var quoted: String { "\(SQLText.name(schema)).\(SQLText.name(name))" }
}
