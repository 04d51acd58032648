import MySQLWire
import Testing

@testable import Watchdog

/// What a channel is given when it is set up anew.
@Suite struct ChannelLinkTests {
    private static let version = ServerVersion("8.4.3")

    private func link(
        _ entries: [(String, String)] = [], tls: TLSMode, caFile: String? = nil, sourceHasTLS: Bool = true
    ) -> Set<String> {
        var link = ChannelLink(entries: entries.map { (name: "channel:" + $0.0, value: $0.1) })
        link.strengthen(to: tls, caFile: caFile, sourceHasTLS: sourceHasTLS)
        return Set(link.options(Self.version))
    }

    @Test func itIsNeverWeakerThanTheAgentsOwnSessions() {
        #expect(link(tls: .disabled) == ["SOURCE_SSL=0"])
        #expect(link(tls: .preferred) == ["SOURCE_SSL=1"])
        #expect(link(tls: .preferred, sourceHasTLS: false) == ["SOURCE_SSL=0"])
        #expect(link(tls: .required, sourceHasTLS: false) == ["SOURCE_SSL=1"])
        #expect(link([("SSL_ALLOWED", "NO")], tls: .preferred) == ["SOURCE_SSL=1"])
        #expect(
            link(tls: .verifyIdentity, caFile: "/ca") == [
                "SOURCE_SSL=1", "SOURCE_SSL_CA='/ca'", "SOURCE_SSL_VERIFY_SERVER_CERT=1",
            ])
    }

    @Test func itIsWhatTheFormerChannelHad() {
        let former = [
            ("SSL_ALLOWED", "YES"), ("SSL_CA_FILE", "/the/ca's.pem"), ("SSL_VERIFY_SERVER_CERTIFICATE", "YES"),
            ("COMPRESSION_ALGORITHM", "zstd"), ("ZSTD_COMPRESSION_LEVEL", "7"),
        ]
        #expect(
            link(former, tls: .disabled) == [
                "SOURCE_SSL=1", "SOURCE_SSL_CA='/the/ca\\'s.pem'", "SOURCE_SSL_VERIFY_SERVER_CERT=1",
                "SOURCE_COMPRESSION_ALGORITHMS='zstd'", "SOURCE_ZSTD_COMPRESSION_LEVEL=7",
            ])
    }

    @Test func whatAServerSaysIsChecked() {
        #expect(link([("ZSTD_COMPRESSION_LEVEL", "7, SOURCE_SSL=0")], tls: .disabled) == ["SOURCE_SSL=0"])
        #expect(link([("NOTHING_KNOWN", "1")], tls: .disabled) == ["SOURCE_SSL=0"])
    }
}
