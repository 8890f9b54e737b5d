# Keyfob for Nix. `nix run .# -- status`, `nix build .#keyfob-tray`; the user's socket: nixosModules.default or homeModules.default.
{
  description = "Short-lived credentials for Bazel, AWS and Metaflow from one sign-in";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      version = (nixpkgs.lib.importTOML ./Cargo.toml).workspace.package.version;
      names = [
        "bazel-credential-keyfob"
        "docker-credential-keyfob"
        "git-credential-keyfob"
      ];

      common = {
        inherit version;
        src = self;
        cargoLock.lockFile = ./Cargo.lock;
        # The tests bring up identity providers and a desktop; they are run by `cargo xtask test`.
        doCheck = false;
      };

      program =
        pkgs:
        pkgs.rustPlatform.buildRustPackage (
          common
          // {
            pname = "keyfob";
            cargoBuildFlags = [
              "--package=keyfob"
              "--package=keyfob-agent"
            ];
            nativeBuildInputs = [ pkgs.installShellFiles ];
            # Completions and pages come from the commands themselves.
            postBuild = ''
              cargo build --release --offline --package keyfob --example documents
              find target -path '*release/examples/documents' -exec {} documents 1970-01-01 \;
            '';
            postInstall = ''
              ${pkgs.lib.concatMapStrings (name: "ln -s keyfob $out/bin/${name}\n") names}
              installManPage documents/man/man1/*
              installShellCompletion --bash documents/completions/bash/keyfob
              installShellCompletion --zsh documents/completions/zsh/_keyfob
              installShellCompletion --fish documents/completions/fish/keyfob.fish
              ${pkgs.lib.optionalString pkgs.stdenv.hostPlatform.isLinux ''
                for unit in keyfobd.service keyfobd.socket; do
                  install -Dm644 installers/linux/systemd/$unit -t $out/lib/systemd/user
                  substituteInPlace $out/lib/systemd/user/$unit --replace-quiet /usr/bin/ $out/bin/
                done
              ''}
            '';
            meta.mainProgram = "keyfob";
          }
        );

      # The page of the window, by its own lock.
      page =
        pkgs:
        pkgs.buildNpmPackage {
          pname = "keyfob-page";
          inherit version;
          src = ./gui/web;
          npmDeps = pkgs.importNpmLock { npmRoot = ./gui/web; };
          npmConfigHook = pkgs.importNpmLock.npmConfigHook;
          installPhase = "cp -r dist $out";
        };

      tray =
        pkgs:
        pkgs.rustPlatform.buildRustPackage (
          common
          // {
            pname = "keyfob-tray";
            cargoBuildFlags = [ "--package=keyfob-gui" ];
            preBuild = "cp -r ${page pkgs} gui/web/dist";
            nativeBuildInputs = pkgs.lib.optionals pkgs.stdenv.hostPlatform.isLinux [
              pkgs.pkg-config
              pkgs.wrapGAppsHook3
            ];
            buildInputs = pkgs.lib.optionals pkgs.stdenv.hostPlatform.isLinux [
              pkgs.webkitgtk_4_1
              pkgs.libayatana-appindicator
            ];
            # It starts the agent beside it, and loads the tray's library while it runs.
            postInstall = ''
              for name in keyfob keyfobd; do ln -s ${program pkgs}/bin/$name $out/bin/$name; done
              ${pkgs.lib.optionalString pkgs.stdenv.hostPlatform.isLinux ''
                install -Dm644 installers/linux/desktop/dev.keyfob.tray.desktop -t $out/share/applications
                substituteInPlace $out/share/applications/dev.keyfob.tray.desktop --replace-quiet /usr/bin/ $out/bin/
                install -Dm644 gui/icons/icon-128.png $out/share/icons/hicolor/128x128/apps/dev.keyfob.tray.png
              ''}
            '';
            preFixup = pkgs.lib.optionalString pkgs.stdenv.hostPlatform.isLinux ''
              gappsWrapperArgs+=(--prefix LD_LIBRARY_PATH : ${pkgs.lib.makeLibraryPath [ pkgs.libayatana-appindicator ]})
            '';
            meta.mainProgram = "keyfob-tray";
          }
        );
    in
    {
      packages = each (pkgs: rec {
        keyfob = program pkgs;
        keyfob-tray = tray pkgs;
        default = keyfob;
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (tray pkgs) ];
          packages = [
            pkgs.cargo
            pkgs.rustc
            pkgs.clippy
            pkgs.rustfmt
            pkgs.nodejs_22
          ];
        };
      });

      # The doors of the agent, for each person who signs in.
      nixosModules.default =
        { pkgs, ... }:
        {
          environment.systemPackages = [ (program pkgs) ];
          systemd.packages = [ (program pkgs) ];
          systemd.user.sockets.keyfobd.wantedBy = [ "sockets.target" ];
        };

      # The same for one person, by home-manager.
      homeModules.default =
        { pkgs, ... }:
        {
          home.packages = [ (program pkgs) ];
          xdg.configFile = {
            "systemd/user/keyfobd.service".source = "${program pkgs}/lib/systemd/user/keyfobd.service";
            "systemd/user/keyfobd.socket".source = "${program pkgs}/lib/systemd/user/keyfobd.socket";
            "systemd/user/sockets.target.wants/keyfobd.socket".source =
              "${program pkgs}/lib/systemd/user/keyfobd.socket";
          };
        };
    };
}
