import ModelIR
import Testing

/// Numbers that torch 2.13 draws on a CPU.
@Suite struct TorchGeneratorTests {
    @Test func drawsAreMersenneTwister() {
        // The C++ standard's check of std::mt19937: its seed, and the 10,000th draw.
        var generator = TorchGenerator(seed: 5489)
        let draws = (0..<10_000).map { _ in generator.draw() }
        #expect(draws[0] == 3_499_211_612)
        #expect(draws[9999] == 4_123_659_995)
        // torch.randint(0, 2**32) is each second draw of manual_seed(42).
        generator = TorchGenerator(seed: 42)
        #expect(
            (0..<6).map { _ in generator.draw() }.enumerated().filter { $0.offset % 2 == 1 }.map(\.element) == [
                3_421_126_067, 787_846_414, 3_348_747_335,
            ])
    }

    /// torch.manual_seed(seed); torch.randn(count): fewer than 16, 16 and more, no multiple of 16; seeds below zero and past 32 bits.
    @Test func normalsAreTorchs() {
        expectNormals(
            -3,
            [
                0.5177019238471985, -0.003518524579703808, -1.547630786895752, -0.5234538912773132, -0.45336273312568665,
                -1.953660488128662, 0.4038502275943756,
            ])
        expectNormals(
            5,
            [
                -0.4867807626724243, -0.6038215756416321, -0.5580962300300598, 0.6675242781639099, -0.19741509854793549, 1.9427834749221802,
                -1.4017020463943481, -0.7625571489334106, 0.6312134265899658, -0.899135172367096, -0.5577934384346008, 0.6907187700271606,
                0.2224585860967636, -0.666225254535675,
            ])
        expectNormals(
            4_294_967_301,
            [
                1.8423298597335815, 0.5188871622085571, -1.7119213342666626, -1.7013792991638184, 2.0194194316864014, -0.26861444115638733,
                -0.13071750104427338, -1.4374138116836548, 2.614577054977417, -0.4340229630470276, 0.35233545303344727,
                -0.06455148011445999,
                0.7686293721199036, 0.9233471751213074, -0.5583229660987854, 0.7796257734298706, 0.7447769641876221, 0.0316568948328495,
                -1.1724143028259277, -1.5069403648376465, -0.14810462296009064, 0.37145474553108215, 0.22725141048431396,
                -0.06473517417907715,
            ])
    }

    private func expectNormals(_ seed: Int, _ expected: [Float], sourceLocation: SourceLocation = #_sourceLocation) {
        var generator = TorchGenerator(seed: seed)
        let normals = generator.normals(expected.count)
        #expect(normals.count == expected.count, sourceLocation: sourceLocation)
        for (i, (a, b)) in zip(normals, expected).enumerated() {
            #expect(abs(a - b) < 2e-6, "number \(i) is \(a), not \(b)", sourceLocation: sourceLocation)
        }
    }
}
