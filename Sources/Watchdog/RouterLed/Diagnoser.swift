import MySQLWire

/// Turns what was seen into one of the states. Pure: no clock, no server, no memory but what is handed in.
package struct Diagnoser: Sendable {
    let addresses: Configuration.Servers
    let peer: ServerAddress?

    package init(_ configuration: Configuration) {
        addresses = configuration.servers
        peer = configuration.replication.peer
    }

    package func diagnose(_ seen: Observation) -> Diagnosis {
        if let verdict = unreachable(seen) { return verdict }
        guard let a = seen.facts(.a), let b = seen.facts(.b) else {
            return Diagnosis(.unknown, ["no answer was classed"])
        }
        if let verdict = unusable(a, b) { return verdict }
        let (primary, why) = roles(a, b)
        guard let primary else { return Diagnosis(.ambiguous, [why.text], code: why.code) }
        return judge(seen, primary: primary, why: why.text)
    }

    private func name(_ id: ServerID) -> String { "\(id) (\(addresses[id]))" }

    // MARK: Servers that do not answer

    private func unreachable(_ seen: Observation) -> Diagnosis? {
        var own: [String] = []
        var down: [String] = []
        for id in ServerID.allCases {
            switch seen[id] {
            case .up: continue
            case .ownFault: own.append("\(name(id)) \(seen[id].reason)")
            default: down.append("\(name(id)) \(seen[id].reason)")
            }
        }
        if !own.isEmpty { return Diagnosis(.unknown, own + down, code: .ownFault) }
        if down.count == 2 {
            return Diagnosis(
                .down, down + ["neither server answers: this host's network may be the cause"], code: .serverSilent)
        }
        guard !down.isEmpty else { return nil }
        var evidence = down
        if let routed = seen.routed { evidence.append("the router leads to \(name(routed))") }
        for id in ServerID.allCases {
            if let marker = seen.facts(id)?.rebuilding { evidence.append(halfMade(id, marker)) }
        }
        return Diagnosis(.down, evidence, code: .serverSilent)
    }

    // MARK: Servers that must be left alone

    private func unusable(_ a: ServerFacts, _ b: ServerFacts) -> Diagnosis? {
        if a.uuid == b.uuid {
            return Diagnosis(
                .ambiguous,
                [
                    "both addresses lead to one server, or two servers share server_uuid \(a.uuid): "
                        + "correct servers.a and servers.b, or remove auto.cnf of a copied data directory"
                ], code: .oneServer)
        }
        var evidence: [String] = []
        var code: Reason.Code?
        for (id, facts) in [(ServerID.a, a), (.b, b)] where !facts.gtidMode {
            code = .withoutGTIDs
            evidence.append(
                "\(name(id)) runs without GTIDs: set gtid_mode=ON and enforce_gtid_consistency=ON on both servers")
        }
        if a.serverID == b.serverID {
            code = code ?? .sameServerID
            evidence.append("both servers have server_id \(a.serverID): give each its own")
        }
        return evidence.isEmpty ? nil : Diagnosis(.ambiguous, evidence, code: code)
    }

    // MARK: Who is primary

    /// The primary replicates from nobody and the other one from it. Where neither replicates, a server that is being
    /// rebuilt names its source, and the newest promotion on record names the primary.
    private func roles(_ a: ServerFacts, _ b: ServerFacts) -> (ServerID?, (code: Reason.Code?, text: String)) {
        for (id, facts) in [(ServerID.a, a), (.b, b)] where facts.channels.count > 1 {
            return (
                nil,
                (
                    .severalChannels,
                    "\(name(id)) replicates over \(facts.channels.count) channels: only one is understood"
                )
            )
        }
        let fromB = a.channels.first
        let fromA = b.channels.first
        if let fromB, !leads(fromB, to: .b, b) { return (nil, (.foreignSource, stranger(.a, fromB))) }
        if let fromA, !leads(fromA, to: .a, a) { return (nil, (.foreignSource, stranger(.b, fromA))) }
        switch (fromB, fromA) {
        case (nil, .some): return (.a, (nil, "\(name(.b)) replicates from \(name(.a))"))
        case (.some, nil): return (.b, (nil, "\(name(.a)) replicates from \(name(.b))"))
        case (.some, .some):
            return (
                nil,
                (
                    .circularReplication,
                    "each server replicates from the other: which one is the primary cannot be told"
                )
            )
        case (nil, nil): break
        }
        switch (a.rebuilding, b.rebuilding) {
        case (nil, .some(let marker)) where marker.source == a.uuid: return (.a, (nil, halfMade(.b, marker)))
        case (.some(let marker), nil) where marker.source == b.uuid: return (.b, (nil, halfMade(.a, marker)))
        case (nil, nil): break
        default:
            return (
                nil, (.halfMadeCopy, "a rebuild was begun on both servers, or from a server that is neither of them")
            )
        }
        let newest = [a.promotion, b.promotion].compactMap { $0 }.max { $0.epoch < $1.epoch }
        if let newest {
            for (id, facts) in [(ServerID.a, a), (.b, b)] where facts.uuid == newest.primary {
                return (
                    id, (nil, "neither replicates; the promotion on record (epoch \(newest.epoch)) names \(name(id))")
                )
            }
        }
        return (
            nil,
            (
                .primaryUnknown,
                "neither server replicates from the other, and no promotion is on record that says which is right"
            )
        )
    }

    /// Whether a channel has this server as its source: by server_uuid once it was connected, else by address.
    private func leads(_ channel: ReplicationChannel, to id: ServerID, _ facts: ServerFacts) -> Bool {
        if !channel.sourceUUID.isEmpty { return channel.sourceUUID == facts.uuid }
        let source = ServerAddress.tcp(host: channel.sourceHost, port: UInt16(clamping: channel.sourcePort))
        return source == addresses[id] || source == peer
    }

    private func stranger(_ id: ServerID, _ channel: ReplicationChannel) -> String {
        "\(name(id)) replicates from \(channel.sourceHost):\(channel.sourcePort)"
            + (channel.sourceUUID.isEmpty ? "" : " (\(channel.sourceUUID))") + ", which is not the other server"
    }

    private func halfMade(_ id: ServerID, _ marker: RebuildMarker) -> String {
        "\(name(id)) is a half-made copy of \(marker.source)"
            + (marker.saved.isEmpty ? "" : "; what it held is saved in \(marker.saved)")
    }

    // MARK: The states of two servers that are up

    private func judge(_ seen: Observation, primary: ServerID, why: String) -> Diagnosis {
        let replica = primary.other
        guard let facts = seen.facts(replica) else { return Diagnosis(.unknown, []) }
        var evidence = [why]
        if let source = seen.facts(primary), Stranger.isOne(facts, history: source.executed) {
            return Diagnosis(
                .ambiguous, primary: primary,
                evidence + [Stranger.text(name(replica), uuid: facts.uuid, facts.schemas ?? [])],
                code: .stranger)
        }
        let health: ReplicationChannel.Health
        if facts.rebuilding != nil {
            health = .broken("the copy is unfinished")
        } else {
            health = facts.channels.first?.health ?? .stopped
        }
        switch health {
        case .running: evidence.append("replication runs")
        case .stopped: evidence.append("replication is stopped on \(name(replica))")
        case .disconnected(let error): evidence.append("\(name(replica)) does not reach its source: \(error)")
        case .interrupted(let error): evidence.append("replication is interrupted on \(name(replica)): \(error)")
        case .broken(let error): evidence.append("replication is broken on \(name(replica)): \(error)")
        }

        guard let source = seen.facts(primary) else { return Diagnosis(.unknown, []) }
        // While replication runs the replica may have been asked a moment later than the primary; while it does not,
        // the replica stands still.
        let lost = facts.executed.lost(by: source.executed, of: source.uuid)
        if health != .running, !lost.isEmpty, facts.rebuilding == nil, seen.routed != replica {
            return Diagnosis(
                .ambiguous, primary: primary,
                evidence + [
                    "\(name(replica)) holds \(lost), which \(name(primary)) made and has lost (a crash without "
                        + "sync_binlog=1?): decide which server is right, nothing is replaced"
                ], code: .lostByPrimary)
        }
        var diagnosis = verdict(seen, primary: primary, facts, health, evidence)
        for (id, server) in [(primary, source), (replica, facts)] where server.readOnly && server.rebuilding == nil {
            diagnosis.closed.append(id)
            diagnosis.evidence.append("\(name(id)) is read-only")
        }
        if facts.rebuilding == nil {
            diagnosis.errant = facts.executed.errant(beside: source.executed, of: source.uuid)
        }
        if !diagnosis.errant.isEmpty {
            diagnosis.evidence.append(
                "\(name(replica)) holds transactions that \(name(primary)) lacks: \(diagnosis.errant)")
        }
        return diagnosis
    }

    private func verdict(
        _ seen: Observation, primary: ServerID, _ facts: ServerFacts, _ health: ReplicationChannel.Health,
        _ evidence: [String]
    ) -> Diagnosis {
        var evidence = evidence
        let replica = primary.other
        switch seen.router {
        case .leadsTo(let uuid):
            guard let routed = seen.routed else {
                return Diagnosis(
                    .ambiguous, primary: primary,
                    evidence + ["the router leads to a third server (\(uuid)): correct its destinations"],
                    code: .thirdServer)
            }
            evidence.append("the router leads to \(name(routed))")
            if routed == replica {
                if facts.rebuilding != nil {
                    return Diagnosis(
                        .ambiguous, primary: primary,
                        evidence + ["a half-made copy is never promoted: the router must lead to \(name(primary))"],
                        code: .halfMadeCopy)
                }
                if facts.channels.isEmpty {
                    return Diagnosis(
                        .ambiguous, primary: primary,
                        evidence + [
                            "a server that does not replicate cannot fetch what \(name(primary)) has: "
                                + "let it replicate, or point the router to \(name(primary))"
                        ], code: .replicatesFromNobody)
                }
                return Diagnosis(.failover, primary: primary, evidence)
            }
            return Diagnosis(
                health == .running ? .ok : .recover, primary: primary, evidence,
                code: Self.code(health, facts))
        case .noAnswer(let error):
            let problem = "the router does not answer: \(error)"
            return Diagnosis(
                health == .running ? .ok : .recover, primary: primary, evidence + [problem], routerProblem: problem,
                code: Self.code(health, facts))
        }
    }

    private static func code(_ health: ReplicationChannel.Health, _ replica: ServerFacts) -> Reason.Code? {
        if replica.rebuilding != nil { return .unfinishedCopy }
        return switch health {
        case .running: nil
        case .stopped, .interrupted: .replicationStopped
        case .disconnected: .sourceUnreachable
        case .broken: .replicationBroken
        }
    }
}
