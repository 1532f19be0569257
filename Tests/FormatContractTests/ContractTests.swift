import ByteIO
import Conversion
import FormatKit
import ModelIR
import TestSupport
import Testing

/// What every registered format promises. A new format is held to it by its line in the registry and its fixtures.
@Suite struct ContractTests {
    @Test func everyFormatHasSamples() {
        for format in Registry.formats { #expect(Samples.all.contains { $0.format == format }, "\(format.name)") }
        #expect(Set(Registry.formats.map { $0.name }).count == Registry.formats.count)
        for format in Registry.formats {
            #expect(Registry.format(named: format.name) == format)
            #expect(!format.summary.isEmpty && !format.fileExtensions.isEmpty)
        }
    }

    // MARK: Detection

    @Test func aFileIsOfOneFormat() {
        for sample in Samples.all {
            let formats = Registry.formats.filter { $0.matches(ByteRegion(bytes: sample.bytes)) }
            #expect(formats.map { $0.name } == [sample.format.name], "\(sample.name)")
        }
    }

    @Test func anyBytesAreOfOneFormatAtMost() {
        var generator = SplitMix(seed: 1)
        for count in 0..<600 {
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Registry.formats.count { $0.matches(ByteRegion(bytes: bytes)) } <= 1)
            // The beginning of one format, the end of another.
            let (head, tail) = (Samples.smallest.randomElement(using: &generator), Samples.smallest.randomElement(using: &generator))
            bytes = Array((head?.bytes ?? []).prefix(count)) + bytes + Array((tail?.bytes ?? []).suffix(count))
            #expect(Registry.formats.count { $0.matches(ByteRegion(bytes: bytes)) } <= 1)
        }
    }

    @Test(arguments: Registry.formats.map { $0.name }) func theEmptyFileIsRefused(name: String) throws {
        let format = try #require(Registry.format(named: name))
        let empty = ByteRegion(bytes: [])
        let matches = format.matches(empty)
        #expect(!matches)
        #expect(throws: FormatError.self) { try format.open(empty, limits: Limits()) }
    }

    // MARK: Damage

    @Test(arguments: Samples.smallest) func everyTruncationIsRefused(sample: Sample) {
        let step = max(1, sample.bytes.count / 2_000)
        for count in Array(stride(from: 0, to: sample.bytes.count, by: step)) + [sample.bytes.count - 1] {
            guard let error = refusal(Array(sample.bytes[..<count])) else {
                Issue.record("\(count) of \(sample.bytes.count) bytes are taken for the whole file")
                continue
            }
            if !isOfBadData(error) { Issue.record("\(count) of \(sample.bytes.count) bytes: \(error)") }
            if "\(error)".contains("\n") { Issue.record("\(count) bytes: an error of several lines") }
        }
    }

    /// Formats that carry checksums over everything find every flip; from the others a damaged file draws one error or none, never a trap.
    @Test(arguments: Samples.smallest) func flippedBytesDoNoHarm(sample: Sample) {
        for seed in 0..<400 {
            var generator = SplitMix(seed: UInt64(seed))
            var bytes = sample.bytes
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            bytes[position] ^= UInt8.random(in: 1...255, using: &generator)
            switch refusal(bytes) {
            case let error?: if !isOfBadData(error) { Issue.record("byte \(position), seed \(seed): \(error)") }
            case nil: if sample.format.name == "ingot" { Issue.record("byte \(position), seed \(seed): not found") }
            }
        }
    }

    // MARK: Writing

    static let writable = Samples.some.filter { $0.format.canWrite }

    @Test(arguments: writable) func whatIsWrittenReadsBack(sample: Sample) throws {
        let checkpoint = try sample.format.open(ByteRegion(bytes: sample.bytes), limits: Limits())
        let bytes = try written(checkpoint, in: sample.format)
        let again = try sample.format.open(ByteRegion(bytes: bytes), limits: Limits())
        #expect(try differences(checkpoint, again) == [])
        #expect(again.record == checkpoint.record)
        #expect(again.source == checkpoint.source)
        #expect(!(refusal(bytes) is FormatError))
        for threadCount in [1, 2, 8] {
            #expect(try written(checkpoint, in: sample.format, threadCount: threadCount) == bytes, "\(threadCount) threads")
        }
    }
}
