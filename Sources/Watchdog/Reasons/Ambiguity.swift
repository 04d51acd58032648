/// What no rule provides for: nobody acts until a person has decided.
package enum Ambiguity: Sendable, Hashable {
    /// A server of another cluster has been given this address.
    case stranger(ServerID, uuid: String, schemas: [String])
    /// A promotion of a server that nobody knows is on record.
    case unknownPromotion(ServerID, uuid: String)
    case withoutGTIDs(ServerID)
    case severalChannels(ServerID, count: Int)
    case oneServer
    /// A copied data directory, or two addresses that were changed.
    case copiedServer(ServerID)
    case foreignSource(ServerID, uuid: String)
    case primaryUnknown
    case primaryElsewhere(uuid: String)
    /// Primary by the record, replica by its channel.
    case primaryReplicates(ServerID, epoch: UInt64)
}

extension Ambiguity {
    package var code: Reason.Code {
        switch self {
        case .stranger: .stranger
        case .unknownPromotion: .unknownPromotion
        case .withoutGTIDs: .withoutGTIDs
        case .severalChannels: .severalChannels
        case .oneServer: .oneServer
        case .copiedServer: .copiedServer
        case .foreignSource: .foreignSource
        case .primaryUnknown: .primaryUnknown
        case .primaryElsewhere: .primaryElsewhere
        case .primaryReplicates: .primaryReplicates
        }
    }

    package var text: String {
        switch self {
        case .stranger(let id, let uuid, let schemas): Stranger.text("\(id)", uuid: uuid, schemas)
        case .unknownPromotion(let id, let uuid):
            "\(id) has it on record that \(uuid) was made primary, and it is not known which server that is"
        case .withoutGTIDs(let id): "\(id) runs without GTIDs"
        case .severalChannels(let id, let count): "\(id) replicates over \(count) channels"
        case .oneServer: "both addresses lead to one server"
        case .copiedServer(let id):
            "\(id) has the server_uuid that \(id.other) had: its data directory was copied, or they changed places"
        case .foreignSource(let id, let uuid): "\(id) replicates from \(uuid), which is not the other server"
        case .primaryUnknown: "it is not known which server is the primary: let one replicate from the other"
        case .primaryElsewhere(let uuid): "the primary on record, \(uuid), is neither of the two servers"
        case .primaryReplicates(let id, let epoch):
            "\(id) is primary by the record of epoch \(epoch) and replicates from the other server"
        }
    }
}
