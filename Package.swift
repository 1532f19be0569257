// swift-tools-version: 6.2
import PackageDescription

// The targets in reading order; an arrow in "Source layout" of README points the same way as `dependencies` here.
let package = Package(
    name: "ingot",
    products: [
        .library(name: "Ingot", targets: ["Conversion"]),
        .executable(name: "ingot", targets: ["ingot"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // System libraries: a module map and a shim each, nothing else.
        .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
        .target(name: "CCodec"),
        .target(name: "CKernels"),
        .target(name: "CProcess"),

        // Bytes, text and numbers.
        .target(name: "ByteIO", dependencies: ["CProcess"]),
        .target(name: "Digests", dependencies: ["ByteIO", "CCodec", "CXXHash", "COpenSSL"]),
        .target(name: "JSON", dependencies: ["ByteIO"]),

        // The graph, and what a file holds.
        .target(name: "ModelIR", dependencies: ["ByteIO"]),
        .target(name: "FormatKit", dependencies: ["ByteIO", "Digests", "JSON", "ModelIR"]),
        .target(name: "Containers", dependencies: ["ByteIO", "ModelIR", "CZlib"]),
        .target(name: "HDF5File", dependencies: ["ByteIO", "ModelIR", "FormatKit", "CHDF5", "CProcess", "CZlib", "CZstd"]),

        // Formats: one folder each.
        .target(
            name: "HDF5Format", dependencies: ["ByteIO", "FormatKit", "HDF5File"], path: "Formats/HDF5", exclude: ["SPEC.md"]),
        .target(
            name: "KerasFormat", dependencies: ["ByteIO", "JSON", "FormatKit", "Containers", "HDF5File"], path: "Formats/Keras",
            exclude: ["SPEC.md"]),
        .target(
            name: "IngotFormat",
            dependencies: ["ByteIO", "Digests", "ModelIR", "FormatKit", "CZstd", "CCodec"], path: "Formats/Ingot",
            exclude: ["SPEC.md"]),

        .target(
            name: "SafetensorsFormat", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit"], path: "Formats/Safetensors",
            exclude: ["SPEC.md"]),

        .target(
            name: "PyTorchFormat", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Containers"], path: "Formats/PyTorch",
            exclude: ["SPEC.md"]),

        // Names and wiring; mathematics; the work itself.
        .target(name: "Architectures", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit"]),
        .target(name: "Executor", dependencies: ["ByteIO", "ModelIR", "CKernels", "COneDNN", "CProcess"]),
        .target(
            name: "Conversion",
            dependencies: [
                "ByteIO", "Digests", "JSON", "ModelIR", "FormatKit", "Containers", "HDF5Format", "KerasFormat", "IngotFormat",
                "SafetensorsFormat", "PyTorchFormat", "Architectures", "Executor",
            ]),
        .executableTarget(
            name: "ingot",
            dependencies: [
                "ByteIO", "JSON", "ModelIR", "FormatKit", "HDF5File", "Architectures", "Executor", "Conversion",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        .executableTarget(
            name: "ingot-fuzz",
            dependencies: [
                "ByteIO", "ModelIR", "FormatKit", "Executor", "Conversion", "CProcess", "CZlib",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "ingot-bench",
            dependencies: [
                "ByteIO", "JSON", "ModelIR", "FormatKit", "IngotFormat", "SafetensorsFormat", "Architectures", "Executor", "Conversion",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], exclude: ["RESULTS.md"]),

        .target(
            name: "TestSupport", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Containers"], path: "Tests/TestSupport"),
        .testTarget(name: "ByteIOTests", dependencies: ["ByteIO", "Digests", "TestSupport"]),
        .testTarget(name: "JSONTests", dependencies: ["ByteIO", "JSON", "TestSupport"]),
        .testTarget(name: "ModelIRTests", dependencies: ["ByteIO", "ModelIR", "TestSupport"]),
        .testTarget(name: "ContainersTests", dependencies: ["ByteIO", "JSON", "ModelIR", "Containers", "TestSupport"]),
        .testTarget(
            name: "HDF5FileTests", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "HDF5File", "Containers", "TestSupport"]),
        .testTarget(
            name: "KerasFormatTests", dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "KerasFormat", "TestSupport"]),
        .testTarget(
            name: "IngotFormatTests",
            dependencies: ["ByteIO", "Digests", "ModelIR", "FormatKit", "IngotFormat", "TestSupport", "CZstd", "CCodec"]),
        .testTarget(
            name: "SafetensorsFormatTests",
            dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "SafetensorsFormat", "TestSupport"]),
        .testTarget(
            name: "PyTorchFormatTests",
            dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Containers", "PyTorchFormat", "TestSupport"]),
        .testTarget(
            name: "FormatContractTests",
            dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Architectures", "Conversion", "TestSupport", "ingot", "ingot-fuzz"]),
        .testTarget(
            name: "ArchitecturesTests",
            dependencies: [
                "ByteIO", "JSON", "ModelIR", "FormatKit", "Containers", "Architectures", "Executor", "Conversion", "TestSupport",
            ]),
        .testTarget(name: "ExecutorTests", dependencies: ["ByteIO", "ModelIR", "Executor", "CKernels", "CProcess", "TestSupport"]),
        .testTarget(
            name: "ConversionTests",
            dependencies: [
                "ByteIO", "JSON", "ModelIR", "FormatKit", "Containers", "Architectures", "Executor", "Conversion", "TestSupport",
            ]),
        .testTarget(
            name: "CommandTests",
            dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Containers", "Conversion", "TestSupport", "ingot"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)

// `make fuzz`: libFuzzer brings the main function and the compiler counts what is reached, so this is no part of an ordinary build.
if Context.environment["INGOT_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "ingot-fuzz-parsers",
            dependencies: ["ByteIO", "JSON", "ModelIR", "FormatKit", "Containers", "IngotFormat", "SafetensorsFormat", "PyTorchFormat"],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])]))
}
