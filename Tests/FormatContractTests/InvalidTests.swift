import Architectures
import ByteIO
import Conversion
import FormatKit
import ModelIR
import TestSupport
import Testing

/// Every bad file is refused by its rule, or told of; none passes in silence.
@Suite struct InvalidTests {
    enum Verdict: Equatable {
        /// A `FormatError` with this code, when the file is opened, checked or lifted.
        case refused(String)
        /// It opens, and `check` reports words like these.
        case reported(String)
        /// It opens; an `UnsupportedError` with these words keeps it from being run or written.
        case unsupported(String)
        /// It is read as it stands, for the reason given.
        case readable(String)
    }

    /// Where the verdict isn't a refusal by a code that is called as the manifest's rule.
    static let others: [String: Verdict] = {
        var table: [String: Verdict] = [:]
        // Not recognised as any format, which is said instead of what it might have been.
        for name in ["hdf5/git_lfs_pointer.h5", "hdf5/html.h5", "hdf5/text.h5", "hdf5/zeros.h5", "keras/text.keras"] {
            table[name] = .refused("unknown-format")
        }
        for name in ["hdf5/empty.h5", "keras/empty.keras"] { table[name] = .refused("empty-file") }
        for name in ["header_huge", "short"] { table["safetensors/\(name).safetensors"] = .refused("unknown-format") }
        for name in ["c64", "f4", "f8_e4m3fnuz", "f8_e8m0"] {
            table["safetensors/dtype_\(name).safetensors"] = .unsupported("dtypes that Ingot's tensors can't have: a: ")
        }
        for (name, words) in [
            ("big_endian", "big-endian"), ("complex", "ComplexFloatStorage"), ("float8_fnuz", "float8_e4m3fnuz"), ("meta", "meta"),
            ("module_zip", "pickled module"), ("neg_bit", "neg"), ("no_tensors", "no tensors"), ("pid_complex", "ComplexFloatStorage"),
            ("pid_module", "pickled module"), ("quantized", "QUInt8Storage"), ("sparse", "_rebuild_sparse_tensor"),
            ("stack_big_endian", "big-endian"),
            ("tar", "tar form"), ("torchscript", "TorchScript"),
        ] {
            table["pytorch/\(name).pt"] = .unsupported(words)
        }
        // Datasets that are no tensors are listed, and nothing is written without them.
        for name in ["array", "complex", "compound", "fixed_string", "reference", "string", "vlen"] {
            table["hdf5/\(name)_dataset.h5"] = .unsupported("can't hold objects that aren't tensors")
        }
        table["hdf5/float80.h5"] = .unsupported("can't hold objects that aren't tensors")
        // Our names for the manifest's rules.
        for name in ["config_attribute_not_string.h5", "config_duplicate_keys.h5", "config_duplicate_keys.keras"] {
            table["keras/\(name)"] = .refused("bad-config-json")
        }
        for name in [
            "config_no_layers.h5", "duplicate_layer_name.h5", "units_float.h5", "units_huge.h5", "units_negative.h5", "units_null.h5",
        ] {
            table["keras/\(name)"] = .refused("bad-config")
        }
        for name in ["inbound_cycle.h5", "inbound_cycle.keras", "inbound_self.h5", "inbound_self.keras"] {
            table["keras/\(name)"] = .refused("cyclic-graph")
        }
        table["keras/weight_is_string.h5"] = .refused("missing-weight")
        table["keras/zip_crc.keras"] = .refused("zip-bad-crc")
        table["keras/zip_method.keras"] = .refused("zip-unsupported-method")
        table["keras/zip_name_mismatch.keras"] = .refused("zip-mismatch")
        table["keras/zip_no_weights.keras"] = .refused("zip-no-weights")
        table["keras/zip_offset.keras"] = .refused("zip-truncated")
        // What `check` reports.
        for name in ["unlisted_dataset.h5", "weight_extra.keras", "weight_extra_layer.keras"] {
            table["keras/\(name)"] = .reported("tensors that no layer asks for")
        }
        table["keras/weight_not_finite.h5"] = .reported("lstm_cell/kernel")
        // Layers that can be inspected and stored, not run.
        table["keras/activation_function_object.h5"] = .unsupported("uses the activation 'my_activation'")
        table["keras/unknown_activation.h5"] = .unsupported("uses the activation 'my_activation'")
        for name in ["lambda_layer.h5", "lambda_layer.keras"] {
            table["keras/\(name)"] = .unsupported("layer 'lambda' is of the class Lambda")
        }
        table["keras/unknown_layer_class.h5"] = .unsupported("is of the class MyAttention")
        // Unknown classes leave their weights unasked for, which `check` says first.
        for name in ["unknown_layer_class.keras", "module_not_keras.keras"] {
            table["keras/\(name)"] = .reported("tensors that no layer asks for")
        }
        // Read as they stand.
        table["keras/config_nan.h5"] = .readable("the rate of a Dropout does nothing when a model is run")
        table["keras/config_nan.keras"] = .readable("the rate of a Dropout does nothing when a model is run")
        table["keras/hdf5_inside.keras"] = .readable("formats are told by their bytes, not by the name")
        table["keras/layer_names_duplicate.h5"] = .readable("both names lead to the same group")
        table["keras/lstm_bias_cudnn.h5"] = .readable("a bias of 8 x units tells weights of cuDNN")
        table["keras/metadata_no_version.keras"] = .readable("the configuration is in the form of Keras 3")
        // 16 MiB are within the limits of reading, but readers of .ingot would refuse so much out of so little.
        for name in ["zip_bomb.keras", "zip_bomb_config.keras"] { table["keras/\(name)"] = .unsupported("almost all bytes are equal") }
        return table
    }()

    @Test func fixturesAreThere() {
        #expect(Fixtures.invalid.count > 100)
        for path in Self.others.keys { #expect(Fixtures.invalid.contains { $0.path == "invalid/\(path)" }, "\(path)") }
    }

    @Test(arguments: Fixtures.invalid) func hasItsVerdict(fixture: InvalidFixture) throws {
        let expected = Self.others[String(fixture.path.dropFirst("invalid/".count))] ?? .refused(fixture.rule)
        switch (expected, try verdict(Fixtures.path(fixture.path))) {
        case (.refused(let wanted), .refused(let found)): #expect(found == wanted)
        case (.reported(let wanted), .reported(let found)): #expect(found.contains(wanted))
        case (.unsupported(let wanted), .unsupported(let found)): #expect(found.contains(wanted))
        case (.readable, .readable): break
        case (let wanted, let found): Issue.record("expected \(wanted), found \(found)")
        }
    }

    private func verdict(_ path: String) throws -> Verdict {
        let scratch = try TemporaryDirectory()
        do {
            let file = try ModelFile.open(path)
            let report = try CheckReport(file)
            if !report.passes { return .reported((report.problems + report.nonFinite.map(\.name)).joined(separator: "; ")) }
            // Proves it too, where it can be run.
            _ = try convert(path, to: scratch.file("out.ingot"), options: ConversionOptions(threadCount: 1))
            _ = try file.requireModel().graph()
            return .readable("")
        } catch let error as FormatError {
            #expect(!error.description.contains("\n"))
            #expect(scratch.names == [])
            return .refused(error.code.rawValue)
        } catch let error as GraphError {
            #expect(scratch.names == [])
            return .refused(error.description)
        } catch let error as UnsupportedError {
            return .unsupported(error.description)
        }
    }
}
