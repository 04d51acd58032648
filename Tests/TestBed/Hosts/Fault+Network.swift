/// What happens to the network between the hosts.
extension Fault {
    public static let all =
        servers + commits + data + disks + network + proxies + agents + misfits + operators + backups + rebuilds
        + identity + memory + names + routers

    static let network: [Fault] = [
        Fault("S16", "the primary is cut off from everybody", .failover, network: true, weight: 2) { context in
            let network = try context.network()
            context.begin()
            try network.isolate(context.primary.name)
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(10)))
            try network.heal()
        },
        Fault("S17", "only the link between the servers is cut, for 30 s", .stays, network: true) { context in
            try await context.cut(.seconds(30)) { try $0.cut([context.primary.name], from: [context.replica.name]) }
        },
        Fault("S18", "the primary is cut off from two of three agents for 12 s", .either, network: true) { context in
            let others = context.backendsAtRandom().prefix(2).map(\.name)
            try await context.cut(.seconds(12)) { try $0.cut([context.primary.name], from: Array(others)) }
        },
        Fault(
            "S19", "the primary with one host on one side, the replica with the others", .failover, network: true,
            replication: .semiSynchronous
        ) {
            context in
            let hosts = context.backendsAtRandom().map(\.name)
            let network = try context.network()
            context.begin()
            try network.cut([context.primary.name, hosts[0]], from: [context.replica.name] + hosts.dropFirst())
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(10)))
            try network.heal()
        },
        Fault("S20", "the primary with the others on one side, the replica with one host, 15 s", .stays, network: true)
        {
            context in
            let hosts = context.backendsAtRandom().map(\.name)
            let network = try context.network()
            context.begin()
            try network.cut([context.primary.name] + hosts.dropFirst(), from: [context.replica.name, hosts[0]])
            await context.nothingPromoted(for: .seconds(15))
            try network.heal()
        },
        Fault("S21", "one host is cut off from both servers for 12 s", .stays, network: true) { context in
            let host = context.anyBackend().name
            try await context.cut(.seconds(12)) {
                try $0.cut([host], from: [context.primary.name, context.replica.name])
            }
        },
        Fault("S22", "packets vanish on the way to the primary", .failover, network: true) { context in
            let network = try context.network()
            context.begin()
            try network.cut([.init(from: nil, to: context.primary.name)])
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(5)))
            try network.heal()
        },
        Fault(
            "S22d", "the primary is cut off from every host, not from its replica; failover", .failover, network: true
        ) { context in
            let network = try context.network()
            try network.cut([context.primary.name], from: context.cluster.backends.map(\.name))
            await context.nothingPromoted(for: .seconds(12))
            context.begin()
            let backend = context.anyBackend()
            try await context.explained(["is connected to it", "failover goes in spite of it"], on: backend)
            try await context.command(backend, ["failover"])
            try await context.failedOver()
            try network.heal()
        },
        Fault("S22b", "packets vanish on the way from the primary", .failover, network: true) { context in
            let network = try context.network()
            context.begin()
            try network.cut([.init(from: context.primary.name, to: nil)])
            try await context.failedOver()
            await context.wait(context.between(.zero, .seconds(5)))
            try network.heal()
        },
        Fault("S23", "a bad link to the primary for 15 s", .either, network: true) { context in
            let network = try context.network()
            context.begin()
            context.note(try network.spoil(context.primary.name))
            await context.wait(.seconds(15))
            try network.unspoil(context.primary.name)
        },
        Fault("S23b", "the link to the primary comes and goes, up to 1 s each, for 20 s", .either, network: true) {
            context in
            let network = try context.network()
            context.begin()
            let end = ContinuousClock.now + .seconds(20)
            while .now < end {
                try network.isolate(context.primary.name)
                await context.wait(context.between(.milliseconds(50), .seconds(1)))
                try network.heal()
                await context.wait(context.between(.milliseconds(50), .seconds(1)))
            }
        },
    ]
}
