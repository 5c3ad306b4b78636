import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.link.lwm2m.attributes.DefaultLwM2mAttributeParser;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

/**
 * An LwM2M server made of Eclipse Leshan's. Arguments: ports of CoAP and of CoAP over DTLS, endpoint name, PSK identity and key
 * in hexadecimal, and further definitions of objects. It asks of the device what lines on its standard input say, and tells
 * what happens on its standard output, a line for each.
 */
public class Host implements RegistrationListener, ObservationListener, SendListener {

    private final LeshanServer server;
    private volatile Registration device;
    private volatile SingleObservation observation;

    private Host(String[] args) throws Exception {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        for (String file : Arrays.copyOfRange(args, 5, args.length)) {
            models.addAll(ObjectLoader.loadDdfFile(new FileInputStream(file), file));
        }
        InMemorySecurityStore keys = new InMemorySecurityStore();
        keys.add(SecurityInfo.newPreSharedKeyInfo(args[2] + "-psk", args[3], HexFormat.of().parseHex(args[4])));
        CaliforniumServerEndpointsProvider.Builder transport = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        Configuration configuration = transport.createDefaultConfiguration();
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 1 << 20);
        InetAddress loopback = InetAddress.getLoopbackAddress();
        transport.setConfiguration(configuration);
        transport.addEndpoint(new InetSocketAddress(loopback, Integer.parseInt(args[0])), Protocol.COAP);
        transport.addEndpoint(new InetSocketAddress(loopback, Integer.parseInt(args[1])), Protocol.COAPS);
        server = new LeshanServerBuilder().setSecurityStore(keys).setObjectModelProvider(new VersionedModelProvider(models))
                .setEndpointsProviders(transport.build()).build();
        server.getRegistrationService().addListener(this);
        server.getObservationService().addListener(this);
        server.getSendService().addListener(this);
        server.start();
        tell("listening");
    }

    public static void main(String[] args) throws Exception {
        Host host = new Host(args);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                host.obey(line.split(" "));
            } catch (Exception e) {
                tell("answer exception " + e);
            }
        }
        host.server.destroy();
    }

    private void obey(String[] words) throws Exception {
        switch (words[0]) {
        case "read" -> ask(new ReadRequest(ContentFormat.fromName(words[1]), words[2]));
        case "composite" -> ask(new ReadCompositeRequest(ContentFormat.fromName(words[1]), ContentFormat.fromName(words[1]), List.of(words).subList(2, words.length)));
        case "discover" -> ask(new DiscoverRequest(words[1]));
        case "attributes" -> ask(new WriteAttributesRequest(words[1], new LwM2mAttributeSet(new DefaultLwM2mAttributeParser().parseUriQuery(words[2]))));
        case "observe" -> ask(new ObserveRequest(ContentFormat.fromName(words[1]), words[2]));
        case "cancel" -> ask(new CancelObservationRequest(observation));
        case "write" -> ask(write(ContentFormat.fromName(words[1]), new LwM2mPath(words[2]), words[3]));
        case "push" -> ask(push(new LwM2mPath(words[1]), words[2]));
        case "execute" -> ask(new ExecuteRequest(words[1]));
        case "create" -> ask(new CreateRequest(ContentFormat.fromName(words[1]), 35001, new LwM2mObjectInstance(Integer.parseInt(words[2]),
                LwM2mSingleResource.newStringResource(27200, words[3]), LwM2mSingleResource.newStringResource(27201, words[4]))));
        case "delete" -> ask(new DeleteRequest(words[1]));
        default -> tell("answer unknown " + words[0]);
        }
    }

    private static WriteRequest write(ContentFormat format, LwM2mPath p, String text) {
        return new WriteRequest(format, p.getObjectId(), p.getObjectInstanceId(), p.getResourceId(), text);
    }

    private static WriteRequest push(LwM2mPath p, String hexadecimal) {
        return new WriteRequest(ContentFormat.OPAQUE, p.getObjectId(), p.getObjectInstanceId(), p.getResourceId(), HexFormat.of().parseHex(hexadecimal));
    }

    private <T extends LwM2mResponse> void ask(DownlinkDeviceManagementRequest<T> request) throws Exception {
        T response = server.send(device, request, 20_000);
        if (response == null) {
            tell("answer timeout");
            return;
        }
        tell("answer " + response.getCode().getCode() + " " + detail(response));
    }

    private static String detail(LwM2mResponse r) {
        if (!r.isSuccess()) {
            return r.getErrorMessage();
        }
        if (r instanceof DiscoverResponse d) {
            return Arrays.toString(d.getObjectLinks());
        }
        if (r instanceof ReadCompositeResponse c) {
            StringBuilder text = new StringBuilder();
            c.getContent().forEach((p, n) -> text.append(values(p, n)));
            return text.toString();
        }
        if (r instanceof ReadResponse d) {
            return values(null, d.getContent());
        }
        return "";
    }

    /** What a node holds, as "/13=..;" for each resource below it. */
    private static String values(LwM2mPath p, LwM2mNode n) {
        StringBuilder text = new StringBuilder(p == null ? "" : p.toString());
        if (n instanceof LwM2mObject o) {
            o.getInstances().values().forEach(i -> text.append("/" + i.getId() + "{" + values(null, i) + "}"));
        } else if (n instanceof LwM2mObjectInstance i) {
            i.getResources().values().forEach(r -> text.append("/" + r.getId() + values(null, r)));
        } else if (n instanceof LwM2mResource r && r.isMultiInstances()) {
            r.getInstances().values().forEach(i -> text.append("[" + i.getId() + "]=" + i.getValue() + ";"));
        } else if (n instanceof LwM2mResource r) {
            text.append("=" + r.getValue() + ";");
        } else if (n instanceof LwM2mResourceInstance i) {
            text.append("=" + i.getValue() + ";");
        }
        return text.toString();
    }

    private static synchronized void tell(String line) {
        System.out.println(line.replace('\n', ' '));
    }

    @Override
    public void registered(Registration r, Registration previous, Collection<Observation> previousObservations) {
        device = r;
        tell("registered " + r.getEndpoint() + " " + r.getLwM2mVersion() + " " + r.getLifeTimeInSec() + " " + r.getBindingMode() + " " + r.getSupportedVersion(3));
    }

    @Override
    public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
        device = updated;
        tell("updated " + updated.getEndpoint() + " " + updated.getLifeTimeInSec());
    }

    @Override
    public void unregistered(Registration r, Collection<Observation> observations, boolean expired, Registration next) {
        tell("unregistered " + r.getEndpoint());
    }

    @Override
    public void newObservation(Observation o, Registration r) {
        observation = (SingleObservation) o;
    }

    @Override
    public void cancelled(Observation o) {
        tell("cancelled");
    }

    @Override
    public void onResponse(SingleObservation o, Registration r, ObserveResponse response) {
        tell("notified " + o.getPath() + " " + values(null, response.getContent()));
    }

    @Override
    public void onResponse(CompositeObservation o, Registration r, ObserveCompositeResponse response) {
        tell("notified " + response.getContent());
    }

    @Override
    public void onError(Observation o, Registration r, Exception e) {
        tell("notification-error " + e);
    }

    @Override
    public void dataReceived(Registration r, TimestampedLwM2mNodes data, SendRequest request) {
        StringBuilder text = new StringBuilder();
        data.getMostRecentNodes().forEach((p, n) -> text.append(values(p, n)));
        tell("sent " + text);
    }

    @Override
    public void onError(Registration r, String error, Exception e) {
        tell("send-error " + error);
    }
}
