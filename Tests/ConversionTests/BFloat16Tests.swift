import Conversion
import FormatKit
import ModelIR
import TestSupport
import Testing

/// bf16, which HDF5 had no type for: one model in every spelling that files have.
@Suite struct BFloat16Tests {
    /// Opaque with the attribute, opaque without (Keras' own `.h5`, which it can't read), the bits as integers, native floats.
    static let spellings = [
        "keras3/keras3_dtype_bfloat16.weights.h5", "keras3/keras3_dtype_bfloat16.h5", "hdf5/keras_bf16_integers.h5",
        "hdf5/keras_bf16_native.h5",
    ]

    @Test(arguments: spellings) func everySpellingIsTheSameModel(path: String) throws {
        let file = try Fixtures.model(path).open()
        #expect(try file.fingerprint() == ModelFile.open(Fixtures.path("keras3/keras3_dtype_bfloat16.keras")).fingerprint())
        #expect(try file.requireModel().parameters.allSatisfy { $0.tensor.dtype == .bf16 })
    }

    /// Every spelling is written as Keras 3 reads it: opaque with the attribute.
    @Test(arguments: spellings) func whatKerasCannotReadIsRepaired(path: String) throws {
        let scratch = try TemporaryDirectory()
        _ = try Fixtures.model(path).convert(to: scratch.file("x.keras"))
        let written = try ModelFile.open(scratch.file("x.keras"))
        #expect(try written.fingerprint() == Fixtures.model(path).open().fingerprint())
        #expect(written.checkpoint.tensors.allSatisfy { $0.attributes["dtype"]?.text == "bfloat16" })
        #expect(!written.checkpoint.formatDetail.contains("taken for bf16"))
    }

    @Test func assumptionsAreNamed() throws {
        let integers = try Inspection(Fixtures.model("hdf5/keras_bf16_integers.h5").open())
        #expect(integers.assumptions.contains { $0.hasPrefix("7 weights kept as uint16 without an attribute dtype are taken for bf16") })
        #expect(integers.notes == [])
        let opaque = try Inspection(Fixtures.model("keras3/keras3_dtype_bfloat16.h5").open())
        #expect(opaque.formatDetail.contains("7 opaque of two bytes taken for bf16"))
        #expect(!opaque.assumptions.contains { $0.contains("uint16") })
    }

    /// No model says what these are: they stay integers, with a note.
    @Test func integersOfPlainFilesStayIntegers() throws {
        let inspection = try Inspection(ModelFile.open(Fixtures.path("hdf5/integers.h5")))
        #expect(inspection.tensors.contains { $0.dtype == .u16 })
        #expect(inspection.notes.contains { $0.hasPrefix("2 tensors of uint16, read as integers; bf16 kept so is told by the attribute") })
        #expect(try Inspection(ModelFile.open(Fixtures.path("hdf5/bfloat16.h5"))).notes == [])
    }
}
