import ModelIR

extension DType {
    /// In the order of the reference writer, which wants strictly aligned dtypes last here and first in the file.
    private static let safetensorsNames: [(dtype: DType, name: String)] = [
        (.bool, "BOOL"), (.u8, "U8"), (.i8, "I8"), (.f8e5m2, "F8_E5M2"), (.f8e4m3, "F8_E4M3"), (.i16, "I16"), (.u16, "U16"),
        (.f16, "F16"), (.bf16, "BF16"), (.i32, "I32"), (.u32, "U32"), (.f32, "F32"), (.f64, "F64"), (.i64, "I64"), (.u64, "U64"),
    ]

    /// The format's dtypes that `DType` doesn't have.
    static let unsupportedSafetensors: Set<String> = [
        "F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64",
    ]

    init?(safetensors name: String) {
        guard let row = Self.safetensorsNames.first(where: { $0.name == name }) else { return nil }
        self = row.dtype
    }

    /// Name in a header.
    var safetensorsName: String { Self.safetensorsNames[safetensorsRank].name }

    /// Tensors of greater rank come first in a file.
    var safetensorsRank: Int { Self.safetensorsNames.firstIndex { $0.dtype == self } ?? 0 }
}
